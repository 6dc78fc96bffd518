"""The image's files: what may go in, and what makes it anew. What is in it: tests/node."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from devcluster.nodetier.buildah import Recipe
from devcluster.nodetier.images import operator_sources
from devcluster.paths import PROJECT_ROOT

DOCKERFILES = sorted([PROJECT_ROOT / "Dockerfile", *PROJECT_ROOT.glob("devcluster/**/*Dockerfile")])


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_the_linter_has_nothing_to_say(path: Path) -> None:
    hadolint = shutil.which("hadolint", path=sysconfig.get_path("scripts"))
    assert hadolint, "hadolint comes with the development dependencies"
    done = subprocess.run([hadolint, str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_build_gets_what_the_dockerfile_copies_and_no_more() -> None:
    text = (PROJECT_ROOT / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", text, flags=re.MULTILINE)
    names = {name.rstrip("/*") for line in copied for name in line.split()}
    allowed = {path.relative_to(PROJECT_ROOT).parts[0] for path in operator_sources()}
    assert allowed <= names
    assert names - allowed <= {"LICENSE"}


def test_a_changed_source_makes_another_archive(tmp_path: Path) -> None:
    dockerfile, source = tmp_path / "Dockerfile", tmp_path / "a.py"
    dockerfile.write_text("FROM scratch")
    source.write_text("1")
    recipe = Recipe("a:1", dockerfile, (source,))
    before = recipe.archive()
    assert recipe.archive() == before
    source.write_text("2")
    assert recipe.archive() != before


def test_nothing_in_the_dockerfile_names_a_registry_host() -> None:
    text = (PROJECT_ROOT / "Dockerfile").read_text()
    images = re.findall(r"^(?:FROM|ARG BASE_IMAGE=)\s*(\S+)", text, flags=re.MULTILINE)
    assert images
    assert [image for image in images if "." in image.partition("/")[0].partition(":")[0]] == []
    assert "http" not in text
