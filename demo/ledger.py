"""What producers and workers wrote down, apart from BullMQ's keys, which the operator deletes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis

NAME = "demo"


@dataclass(frozen=True, slots=True)
class Ledger:
    """By `<queue>:<job id>`: see devcluster/programs/connection.js."""

    acknowledged: frozenset[str]
    processed: Mapping[str, int]
    """How often each was processed."""

    @classmethod
    def read(cls, client: redis.Redis) -> Ledger:
        """As it is now; `processed` first, so that it never seems ahead of its time."""
        processed: Any = client.hgetall(f"ledger:{NAME}:done")
        acknowledged: Any = client.hkeys(f"ledger:{NAME}:added")
        counts = {name: int(count) for name, count in processed.items()}
        return cls(frozenset(acknowledged), counts)

    def of(self, version: str) -> Ledger:
        """The part of one version's queue."""
        mine = f"orders/v{version}:"
        return Ledger(
            frozenset(name for name in self.acknowledged if name.startswith(mine)),
            {name: count for name, count in self.processed.items() if name.startswith(mine)},
        )

    @property
    def added(self) -> int:
        """Jobs whose add was acknowledged."""
        return len(self.acknowledged)

    @property
    def done(self) -> int:
        """Those of them that were processed."""
        return len(self.acknowledged & self.processed.keys())

    @property
    def repeated(self) -> int:
        """Those that were processed more than once: BullMQ promises at least once."""
        return sum(self.processed.get(name, 0) > 1 for name in self.acknowledged)

    @property
    def complete(self) -> bool:
        """Whether there were jobs, and all of them were processed."""
        return self.added > 0 and self.done == self.added
