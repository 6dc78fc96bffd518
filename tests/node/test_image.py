"""What is in the shipped image, seen from inside a container that runs it as the manifests do."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

import pytest

from devcluster.nodetier import images
from devcluster.nodetier.tier import NodeTier
from devcluster.paths import PROJECT_ROOT
from tests.node.pods import Pod, a_pod, pod_spec

pytestmark = pytest.mark.node

LARGEST_MB = 340
"""A base of 120 MB, and 170 MB of packages with their byte code; uncompressed."""

LOADED_WITHOUT_BYTE_CODE = """
import json, os, sys
import bullmq_operator.__main__
files = {m.__name__: (m.__cached__, m.__file__) for m in list(sys.modules.values())
         if getattr(m, "__cached__", None) and (m.__file__ or "").endswith(".py")}
print(json.dumps([len(files), sorted(n for n, (c, _) in files.items() if not os.path.exists(c))]))
"""
INSTALLERS = """
import glob, json, os
folders = ("/opt/*", "/opt/venv/bin/*", "/opt/venv/lib/*/site-packages/*")
names = [name for folder in folders for name in glob.glob(folder)]
bad = ("pip", "pip3", "uv", "hatchling", "setuptools", "build")
print(json.dumps([name for name in names if os.path.basename(name) in bad]))
"""


@pytest.fixture(scope="module")
def container(tier: NodeTier) -> Iterator[Pod]:
    """A container of the operator's image that waits, in a namespace of its own."""
    namespace = "image"
    tier.kubectl("create", "namespace", namespace)
    spec = pod_spec(image=images.OPERATOR, command=["sleep", "600"])
    tier.kubectl.apply(a_pod("idle", spec | {"terminationGracePeriodSeconds": 0}), namespace)
    ready = ("wait", "pod/idle", "--for=condition=Ready", "--timeout=60s")
    tier.kubectl(*ready, namespace=namespace, timeout=70)
    yield Pod(tier, namespace, "idle")
    tier.kubectl("delete", "namespace", namespace, "--wait=false")


def test_every_module_that_the_operator_loads_has_byte_code(container: Pod) -> None:
    count, without = container.python(LOADED_WITHOUT_BYTE_CODE)
    assert count > 100
    assert without == []


def test_the_operators_environment_has_nothing_that_installs_packages(container: Pod) -> None:
    assert container.python(INSTALLERS) == []


def test_the_help_names_the_settings(container: Pod) -> None:
    text = container.run("bullmq-operator", "run", "--help")
    assert "BULLMQ_OPERATOR_REDIS_URL" in text


def test_the_version_is_the_projects(container: Pod) -> None:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]["version"]
    inside = 'from importlib.metadata import version; print(f\'"{version("bullmq-operator")}"\')'
    assert container.python(inside) == project
    assert images.OPERATOR.partition(":")[2] == project
    label = re.search(r'image\.version="(.*?)"', (PROJECT_ROOT / "Dockerfile").read_text())
    assert label is not None
    assert label[1] == project


def test_the_image_is_small(tier: NodeTier) -> None:
    size = images.operator_image().archive.stat().st_size
    assert size < LARGEST_MB * 1_000_000
