"""Where things are kept: a cache that survives (built programs), and state that does not."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT_ROOT = HERE.parent
"""The folder that holds the `devcluster` package; child processes get it as PYTHONPATH."""


def cache_dir() -> Path:
    """The cache of built programs; `BULLMQ_OPERATOR_CACHE` moves it."""
    if override := os.environ.get("BULLMQ_OPERATOR_CACHE"):
        path = Path(override).expanduser()
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
        path = Path(base) / "bullmq-operator"
    path.mkdir(parents=True, exist_ok=True)
    return path


def runtime_dir() -> Path:
    """Parent of the state folders of running clusters: short (a Unix socket's path has at most
    107 bytes), private to the user, on a disk that the next boot may clean.
    """
    path = Path(tempfile.gettempdir()) / f"devcluster-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_uid != os.getuid():
        raise PermissionError(f"{path} belongs to another user; set TMPDIR to a folder of yours")
    return path


def new_state_dir(kind: str) -> Path:
    """A new, private folder for one cluster's or server's state."""
    return Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=runtime_dir()))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock between processes; the kernel drops it when its holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
