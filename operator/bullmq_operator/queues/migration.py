"""Moves the unfinished jobs of one version's queue to another's: same Redis, a batch per call.

Each call of lua/migrate.lua is one step of Redis: before and after it, every job is whole and in
one index of one of the two queues. So it may be late, repeated or sent by two operators at once,
and a crash anywhere needs nothing but another run. docs/design/migration.md tells what is kept,
what is left, and why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from redis.crc import key_slot

from bullmq_operator.domain.counts import QueueCounts
from bullmq_operator.domain.migration import (
    LeftJobs,
    LeftReason,
    MigrationOutcome,
    MigrationRefusal,
)
from bullmq_operator.domain.names import QueueId
from bullmq_operator.queues import scripts
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.counts import read_queue
from bullmq_operator.queues.retirement import FIRST_SLICE, next_size

INDEXES: Final = ("wait", "paused", "prioritized", "delayed")
"""Where a job stands that no worker has."""
MOST_LOOKS: Final = 10
"""A producer that never pauses adds to every look: what it adds after the last is a late job."""
MOST_EXAMPLES: Final = 10

AIM_MICROSECONDS: Final = 1500
"""Time of Redis that one call should take: moving a job is several times the work of deleting one,
and between two calls Redis waits for us."""

_MIGRATE: Final = scripts.load("migrate")
_PREFIX = re.compile(r"[^\s:]*[^\s:\d][^\s:]*")
"""With a colon it would be read as a part of a key, and of digits alone as a counter's id."""
_MARKER: Final = "Marker"
"""BullMQ v4's own element in the lists, no job."""

OnProgress = Callable[[MigrationOutcome], None]


async def migrate_queue(
    connection: RedisConnection,
    source: QueueId,
    target: QueueId,
    *,
    id_prefix: str,
    on_progress: OnProgress | None = None,
) -> MigrationOutcome:
    """Move all jobs of `source` that no worker has, or refuse; what must stay is named.

    `connection` is the source's. `id_prefix`, such as `v1-`, goes before ids that can't be kept:
    numbers, which the target's counter will come to, and those that are taken. Raises
    QueueReadError when Redis can't be reached or forbids it: what was moved until then is moved,
    and a repetition goes on.
    """
    if not _PREFIX.fullmatch(id_prefix):
        raise ValueError(f"{id_prefix!r} is no prefix for job ids")
    refused = refusal(source, target, is_cluster=connection.is_cluster)
    if refused is not None:
        return refused
    run = _Run(connection, source.base, target.base, id_prefix, on_progress or _silent)
    looks = 0
    while await run.look() and looks < MOST_LOOKS:
        looks += 1
    reading = await read_queue(connection, source.base)
    return replace(run.outcome, left=(*run.left(), *_elsewhere(reading.counts)))


def refusal(source: QueueId, target: QueueId, *, is_cluster: bool) -> MigrationOutcome | None:
    """Why jobs can't be moved between these queues at all; None: they can."""
    if source.backend != target.backend:
        return MigrationOutcome(
            refused=MigrationRefusal.ANOTHER_REDIS,
            message=f"{target.name} is in another Redis than {source.name}, and jobs are moved "
            f"within one Redis only; let the workers of {source.name} finish them, or archive "
            "them and restore the archive there.",
        )
    if source.base == target.base:
        return MigrationOutcome(
            refused=MigrationRefusal.SAME_QUEUE,
            message=f"{source.name} can't be moved to itself; name another version's queue.",
        )
    if is_cluster and _slot(source) != _slot(target):
        return MigrationOutcome(
            refused=MigrationRefusal.ANOTHER_SLOT,
            message=f"{target.name} is in another slot of the Redis Cluster than {source.name}, "
            "and jobs are moved within one slot only; let the workers of "
            f"{source.name} finish them, and give the queues of later versions one hash tag, "
            "such as the prefix {shop}.",
        )
    return None


@dataclass(slots=True)
class _Run:
    """Looks over the source, one after the other."""

    connection: RedisConnection
    source: str
    target: str
    id_prefix: str
    on_progress: OnProgress
    outcome: MigrationOutcome = field(default_factory=MigrationOutcome)
    _size: int = FIRST_SLICE
    _left: dict[LeftReason, list[str]] = field(default_factory=dict)

    async def look(self) -> bool:
        """Move what can be moved; whether anything was, so that another look is needed.

        A job may change its index behind us, when it is promoted or retried.
        """
        self._left.clear()
        before = self.outcome.migrated_jobs
        for index in INDEXES:
            await self._move(index)
        found = self.outcome.migrated_jobs > before
        self.outcome = replace(self.outcome, still_fed=found)
        return found

    def left(self) -> list[LeftJobs]:
        """What the last look passed over."""
        return [
            LeftJobs(reason, len(ids), tuple(sorted(ids)[:MOST_EXAMPLES]))
            for reason, ids in sorted(self._left.items())
        ]

    async def _move(self, index: str) -> None:
        """One index, from the job that is next to be worked on."""
        skipped, at_end = 0, False
        while not at_end:
            words = (self.target, index, skipped, self._size, self.id_prefix)
            answer = await scripts.run(self.connection, _MIGRATE, self.source, words)
            moved, looked, ended, took, *left = answer
            self._note(left)
            skipped += looked - moved
            at_end = ended == 1
            if looked:
                self._size = next_size(self._size, looked, took, AIM_MICROSECONDS)
            if moved:
                total = self.outcome.migrated_jobs + moved
                self.outcome = replace(self.outcome, migrated_jobs=total)
                self.on_progress(self.outcome)

    def _note(self, left: Sequence[str]) -> None:
        """`left`: a reason, an id, and so on."""
        for reason, job in zip(left[::2], left[1::2], strict=True):
            if reason != _MARKER:
                self._left.setdefault(LeftReason(reason), []).append(job)


def _elsewhere(counts: QueueCounts) -> list[LeftJobs]:
    """What stands where nothing is moved from."""
    numbers = {
        LeftReason.ACTIVE: counts.active,
        LeftReason.WAITING_CHILDREN: counts.waiting_children,
        LeftReason.SCHEDULERS: counts.schedulers,
    }
    return [LeftJobs(reason, count) for reason, count in numbers.items() if count]


def _slot(queue: QueueId) -> int:
    return key_slot(queue.base.encode())


def _silent(_: MigrationOutcome) -> None:
    """Nobody watches."""
