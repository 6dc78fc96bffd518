"""What runs on this machine: kept clusters and servers, and the remains of killed ones."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from devcluster.paths import runtime_dir
from devcluster.processes import KEPT, Hold

NEWBORN_SECONDS = 60.0
"""A folder this young may belong to a supervisor that is about to listen."""


@dataclass(frozen=True, slots=True)
class Running:
    """One state folder with a living supervisor."""

    state: Path
    kept: bool

    @property
    def name(self) -> str:
        """Such as `cluster-ab12cd34`."""
        return self.state.name

    def stop(self) -> None:
        """End everything it holds, and wait until it is gone."""
        Hold(self.state).shutdown()


def running() -> Iterator[Running]:
    """All that is alive now, this user's only."""
    for state in sorted(runtime_dir().iterdir()):
        try:
            Hold(state).release()
        except OSError:
            continue
        yield Running(state, (state / KEPT).exists())


def remove_remains() -> list[Path]:
    """Delete folders whose supervisor was killed, and say which."""
    alive = {one.state for one in running()}
    removed = []
    for state in runtime_dir().iterdir():
        if state not in alive and time.time() - state.stat().st_mtime > NEWBORN_SECONDS:
            shutil.rmtree(state, ignore_errors=True)
            removed.append(state)
    return removed
