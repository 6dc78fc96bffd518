"""Installs the npm packages of `programs/`, once, into the cache: nothing is put into the tree."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from devcluster import tools
from devcluster.errors import BuildError
from devcluster.paths import HERE, cache_dir, locked

PROGRAMS = HERE / "programs"
FILES = ("package.json", "package-lock.json")


def node_modules() -> Path:
    """The folder to use as NODE_PATH, installed first if need be (about 5 s).

    Raises BuildError with npm's last lines and a next step.
    """
    target = cache_dir() / "npm" / _key()
    if not target.exists():
        with locked(cache_dir() / "npm" / "install.lock"):
            if not target.exists():
                _install(target)
    return target / "node_modules"


def _key() -> str:
    digest = hashlib.sha256()
    for name in FILES:
        digest.update((PROGRAMS / name).read_bytes())
    digest.update(str(tools.node()).encode())
    return digest.hexdigest()[:20]


def _install(target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        work = Path(folder) / "work"
        work.mkdir()
        for name in FILES:
            shutil.copy(PROGRAMS / name, work / name)
        path = os.pathsep.join([str(tools.node().parent), os.environ.get("PATH", "")])
        done = subprocess.run(
            [*tools.npm_command(), "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
            cwd=work,
            env=os.environ | {"PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            tail = "\n  ".join(done.stderr.splitlines()[-15:])
            raise BuildError(
                f"`npm ci` of {PROGRAMS} failed (exit {done.returncode}):\n  {tail}\n"
                "Next: check that the npm registry can be reached, then try again."
            )
        work.rename(target)
