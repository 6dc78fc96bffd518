"""Deletes what is left of a drained queue: slices, sweep, close.

Every call proves for itself that nothing is unfinished and that nothing happened since the proof
(lua/includes/guard.lua), so it may be late, repeated or sent by two operators at once: it deletes
nothing that an acknowledged add needs. A crash anywhere: start again with a new inventory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from bullmq_operator.domain.counts import Inventory, RetirementOutcome
from bullmq_operator.domain.names import QueueId
from bullmq_operator.queues import keys, scripts
from bullmq_operator.queues.connection import SOCKET_SECONDS, RedisConnection
from bullmq_operator.queues.counts import read_queue
from bullmq_operator.queues.errors import translated

AIM_MICROSECONDS: Final = 1000
"""Time of Redis that one slice should take: others wait for it."""
FIRST_SLICE: Final = 100
SMALLEST_SLICE: Final = 10
LARGEST_SLICE: Final = 200
SWEEP_BATCH: Final = 500
"""Keys per call; far below what Lua's stack holds (8000)."""

LATE_JOB: Final = "LateJob"
ACTIVITY: Final = "Activity"
PARENT_ELSEWHERE: Final = "ParentElsewhere"
ORPHANED_JOBS: Final = "OrphanedJobs"
UNKNOWN_KEYS: Final = "UnknownKeys"
KEYS_LEFT: Final = "KeysLeft"
TOO_LATE: Final = "TooLate"

_REFUSALS: Final = {-3: LATE_JOB, -4: ACTIVITY, -5: PARENT_ELSEWHERE, -6: KEYS_LEFT, -7: TOO_LATE}

_SLICE: Final = scripts.load("slice")
_SWEEP: Final = scripts.load("sweep")
_CLOSE: Final = scripts.load("close")
_SWEEP_RECREATED: Final = scripts.load("sweep-recreated")

OnProgress = Callable[[RetirementOutcome], None]


async def retire_queue(
    connection: RedisConnection,
    queue: QueueId,
    inventory: Inventory,
    stamp: str | None,
    on_progress: OnProgress | None = None,
    *,
    orphans_approved: bool = False,
    patience: float = SOCKET_SECONDS,
) -> RetirementOutcome:
    """Delete the queue of this inventory, or stop where the guard refuses.

    `stamp` is that of the proof; None says that there was no stream, and a stream that appears is
    activity. Foreign queues are never touched; unknown keys, and orphans that nobody approved,
    stop it before anything is deleted. `patience` is for how many seconds a call may be under way,
    no longer than the client waits for its answer: one that comes later does nothing. Raises
    QueueReadError when Redis can't be reached: what was deleted until then was finished, and a
    repetition goes on.
    """
    refusal = _refusal(inventory, orphans_approved)
    if refusal is not None:
        return RetirementOutcome(stopped_by=refusal)
    clock = await _RedisClock.read(connection, queue.base)
    run = _Run(connection, queue.base, stamp or "", clock, patience, on_progress or _silent)
    residue = _to_sweep(queue.base, inventory, orphans_approved)
    if await run.slices(_namesakes(queue.base, inventory)) and await run.sweep(residue):
        await run.close()
    return run.outcome


async def sweep_recreated(connection: RedisConnection, queue: QueueId) -> RetirementOutcome:
    """Remove what old processes re-created of a retired queue.

    Nothing at all is removed when a job was added since, or when a re-created `meta` holds settings
    or a pause: `stopped_by` says which. Raises QueueReadError.
    """
    code = int(await scripts.run(connection, _SWEEP_RECREATED, queue.base))
    if code < 0:
        return RetirementOutcome(stopped_by=_REFUSALS[code])
    return RetirementOutcome(swept_keys=code)


async def restore_settings(
    connection: RedisConnection, queue: QueueId, settings: Mapping[str, str]
) -> None:
    """Give a reopened queue its settings back, before its workers: without its concurrency a
    "one at a time" queue runs unbounded. What somebody set since wins. Raises QueueReadError.
    """
    if not settings:
        return
    with translated(connection.address):
        async with connection.client.pipeline(transaction=False) as pipe:
            for name, value in sorted(settings.items()):
                pipe.hsetnx(f"{queue.base}meta", name, value)
            await pipe.execute()


@dataclass(frozen=True, slots=True)
class _RedisClock:
    """Redis's clock, told from one reading of it."""

    read_ms: int
    asked_at: float
    """By our own clock, before it was read: so we are behind its time, if anything."""

    @classmethod
    async def read(cls, connection: RedisConnection, base: str) -> _RedisClock:
        """Of the server that has the queue. Raises QueueReadError."""
        asked_at = asyncio.get_running_loop().time()
        reading = await read_queue(connection, base)
        assert reading.redis_time is not None
        return cls(int(reading.redis_time.timestamp() * 1000), asked_at)

    def after(self, seconds: float) -> int:
        """The time in so many seconds, in ms."""
        passed = asyncio.get_running_loop().time() - self.asked_at
        return self.read_ms + int((passed + seconds) * 1000)


@dataclass(slots=True)
class _Run:
    """One pass. Each step says whether the next may follow."""

    connection: RedisConnection
    base: str
    stamp: str
    clock: _RedisClock
    patience: float
    on_progress: OnProgress
    outcome: RetirementOutcome = field(default_factory=RetirementOutcome)

    async def slices(self, namesakes: Sequence[str]) -> bool:
        """Until no finished job is left."""
        size = FIRST_SLICE
        while True:
            deleted, took = await self._call(_SLICE, size, *namesakes)
            if deleted <= 0:
                return deleted == 0
            self._update(obliterated_jobs=self.outcome.obliterated_jobs + deleted)
            size = next_size(size, deleted, took)

    async def sweep(self, names: Sequence[str]) -> bool:
        """Before the close: an add takes its id by INCR without looking, so an orphaned hash `1`
        would be merged into a new job 1.
        """
        for start in range(0, len(names), SWEEP_BATCH):
            deleted, _ = await self._call(_SWEEP, *names[start : start + SWEEP_BATCH])
            if deleted < 0:
                return False
            self._update(swept_keys=self.outcome.swept_keys + deleted)
        return True

    async def close(self) -> None:
        """The end: after it nothing of the queue is left."""
        deleted, _ = await self._call(_CLOSE)
        if deleted >= 0:
            self._update(closed=True)

    async def _call(self, script: scripts.Script, *arguments: str | int) -> tuple[int, int]:
        """(deleted or the refusal's code, microseconds)."""
        words = (self.stamp, self.clock.after(self.patience), *arguments)
        code, _, took = await scripts.run(self.connection, script, self.base, words)
        if code < 0:
            self.outcome = replace(self.outcome, stopped_by=_REFUSALS[code])
        return code, took

    def _update(self, **changes: int) -> None:
        self.outcome = replace(self.outcome, **changes)  # type: ignore[arg-type]
        self.on_progress(self.outcome)


def next_size(size: int, deleted: int, took: int, aim: int = AIM_MICROSECONDS) -> int:
    """The next slice, so that it takes about `aim` microseconds; at most halved or doubled."""
    fitting = deleted * aim // max(took, 1)
    bounded = min(max(fitting, size // 2), size * 2)
    return min(max(bounded, SMALLEST_SLICE), LARGEST_SLICE)


def _refusal(inventory: Inventory, orphans_approved: bool) -> str | None:
    if inventory.parents_elsewhere:
        return PARENT_ELSEWHERE
    if inventory.unknown_keys:
        return UNKNOWN_KEYS
    if (inventory.orphans or inventory.pending_deduplicated) and not orphans_approved:
        return ORPHANED_JOBS
    return None


def _to_sweep(base: str, inventory: Inventory, orphans_approved: bool) -> list[str]:
    """The residue, and orphans that somebody approved; nothing below another queue's base."""
    names = list(inventory.residue)
    if orphans_approved:
        names += [key for job in inventory.orphans for key in keys.job_keys(base, job)]
        names += [f"{base}dn:{name}" for name in inventory.pending_deduplicated]
    foreign = tuple(f"{queue}:" for queue in inventory.foreign_queues)
    return [name for name in names if not name.startswith(foreign)]


def _namesakes(base: str, inventory: Inventory) -> list[str]:
    """Jobs that may be named like a queue that shares our base: `x:failed` may be either's."""
    return [name[len(base) :] for name in inventory.foreign_queues]


def _silent(_: RetirementOutcome) -> None:
    """Nobody watches."""
