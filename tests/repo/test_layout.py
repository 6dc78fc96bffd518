"""What holds for the tree as a whole: names, sizes, and nothing in it that ties it to a machine."""

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 400
PROGRAM_SUFFIXES = {".py", ".js", ".go", ".lua", ".sh"}

# Put together from pieces, so that this file may be searched too.
REGISTRY_HOSTS = [
    "registry." + "npmjs.org",
    "files." + "pythonhosted.org",
    "pypi." + "org",
    "proxy." + "golang.org",
    "sum." + "golang.org",
    "deb." + "debian.org",
    "docker." + "io",
    "gcr." + "io",
    "ghcr." + "io",
    "quay." + "io",
]
MACHINE_PATHS = re.compile(r"(?<![\w.$}/-])/(?:work|home/\w+|root|Users/\w+)/[\w.]")
DOWNLOAD = re.compile(r"https?://\S+\.(?:tar\.gz|tgz|zip|whl|deb|exe)\b")


def tracked() -> list[Path]:
    """What git has, or would add: a build or a cache is nobody's concern."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


FILES = tracked()
PROGRAMS = [path for path in FILES if path.suffix in PROGRAM_SUFFIXES]
TEXTS = [path for path in FILES if b"\0" not in path.read_bytes()[:1024]]


def test_git_lists_the_project() -> None:
    assert {"Makefile", "pyproject.toml", "crds/queueversions.yaml"} <= set(map(relative, FILES))


def test_operator_is_a_folder_and_no_package() -> None:
    """With `__init__.py`, `import operator` from the root would load it instead of Python's own."""
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_every_program_can_be_read_in_one_sitting() -> None:
    long = [path for path in PROGRAMS if len(path.read_text().splitlines()) > MAX_LINES]
    assert list(map(relative, long)) == []


def bound_to_a_machine(path: Path) -> list[str]:
    """The registries, downloads and folders of somebody's machine that a file names."""
    text = path.read_text(errors="replace")
    found = [host for host in REGISTRY_HOSTS if re.search(rf"(?<![\w.-]){host}(?![\w-])", text)]
    return found + DOWNLOAD.findall(text) + MACHINE_PATHS.findall(text)


def test_no_file_names_a_registry_a_download_or_a_path_of_a_machine() -> None:
    found = {relative(path): bound_to_a_machine(path) for path in TEXTS}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("FROM docker." + "io/library/python", id="a registry of images"),
        pytest.param('"https://registry.' + 'npmjs.org/"', id="a registry of packages"),
        pytest.param("https://example.com/" + "tool.tar.gz", id="a download"),
        pytest.param("cd /ro" + "ot/project", id="a folder of a machine"),
    ],
)
def test_what_binds_to_a_machine_is_found(text: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    assert len(bound_to_a_machine(path)) == 1


def test_python_is_locked_by_requirements_alone() -> None:
    """uv.lock would hold the addresses of one machine's registry."""
    assert [relative(path) for path in FILES if path.name == "uv.lock"] == []


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.name == "package-lock.json"], ids=relative
)
def test_an_npm_lock_pins_by_hash_and_names_no_address(path: Path) -> None:
    packages = json.loads(path.read_text())["packages"]
    installed = {name: package for name, package in packages.items() if name}
    assert installed
    assert [name for name, package in installed.items() if "resolved" in package] == []
    assert [name for name, package in installed.items() if "integrity" not in package] == []
