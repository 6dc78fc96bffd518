"""Two queues of one Redis, and what moves jobs from the first to the second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bullmq_operator.domain.migration import LeftJobs, MigrationOutcome, id_prefix
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.migration import OnProgress, migrate_queue
from tests.integration.queues.support import Shop

PREFIX = id_prefix("1")


@dataclass(frozen=True)
class Move:
    """From `orders/v1` to `orders/v2`, both in the hands of one BullMQ unless a test says else."""

    connection: RedisConnection
    source: Shop
    target: Shop

    @classmethod
    def of(cls, connection: RedisConnection, shop: Shop) -> Move:
        """Both queues as producers and workers leave them that were there once."""
        target = shop.other("orders/v2")
        for queue in (shop, target):
            queue.run(["getJobCounts"])
        return cls(connection, shop, target)

    async def __call__(self, on_progress: OnProgress | None = None) -> MigrationOutcome:
        """One run."""
        return await migrate_queue(
            self.connection,
            self.source.queue,
            self.target.queue,
            id_prefix=PREFIX,
            on_progress=on_progress,
        )

    async def all(self) -> int:
        """One run that leaves nothing; how many jobs it moved."""
        outcome = await self()
        assert (outcome.left, outcome.still_fed, outcome.refused) == ((), False, None)
        return outcome.migrated_jobs

    def work(self, count: int = 10_000) -> list[str]:
        """The target's worker finishes so many jobs; their ids in that order."""
        taken: list[str] = self.target.run(["process", count])[0]
        return taken

    def hash_of(self, shop: Shop, job: str) -> dict[Any, Any]:
        """A job as Redis has it."""
        found = shop.raw.hgetall(f"{shop.base}{job}")
        assert isinstance(found, dict)
        return found


def left(outcome: MigrationOutcome) -> dict[str, int]:
    """How many stayed, by reason."""
    return {one.reason.value: one.count for one in outcome.left}


def only(outcome: MigrationOutcome) -> LeftJobs:
    """The one reason why jobs stayed."""
    (one,) = outcome.left
    return one
