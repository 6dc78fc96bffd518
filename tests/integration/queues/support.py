"""A queue of a real Redis, as tests speak of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import redis

from bullmq_operator.domain.names import Backend, QueueId, RedisSource
from devcluster import bullmq

BACKEND = Backend("shop", RedisSource(url="redis://example"))
FAILING = {"fail": True}


def queue_id(name: str, prefix: str = "bull") -> QueueId:
    """The queue of this name."""
    return QueueId(BACKEND, prefix, name)


@dataclass(frozen=True)
class Shop:
    """One queue, filled by Node BullMQ v6."""

    url: str
    raw: redis.Redis
    name: str = "orders/v1"
    prefix: str = "bull"

    @property
    def queue(self) -> QueueId:
        return queue_id(self.name, self.prefix)

    @property
    def base(self) -> str:
        return self.queue.base

    def other(self, name: str, prefix: str = "bull") -> Shop:
        """Another queue of the same Redis."""
        return Shop(self.url, self.raw, name, prefix)

    def run(self, *steps: list[Any]) -> list[Any]:
        """Steps of devcluster/programs/jobs.js."""
        return bullmq.run(self.url, self.name, *steps, prefix=self.prefix)

    def finish(self, completed: int = 3, failed: int = 0) -> None:
        """Add so many jobs, and let a worker finish them."""
        self.run(
            ["addBulk", bullmq.jobs(completed + failed)],
            ["process", completed],
            ["process", failed, FAILING],
        )

    def add(self, job_id: str) -> None:
        """A producer's add, acknowledged when this returns."""
        self.run(["add", "late", {"kept": True}, {"jobId": job_id}])

    def keys(self) -> set[str]:
        """All keys with our base, other queues' included."""
        return {str(key) for key in self.raw.scan_iter() if str(key).startswith(self.base)}

    def snapshot(self) -> dict[str, str]:
        """Every key's value, as Redis's own digest."""
        debug = cast(Any, self.raw)
        return {
            key: str(debug.execute_command("DEBUG", "DIGEST-VALUE", key)) for key in self.keys()
        }
