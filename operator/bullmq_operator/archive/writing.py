"""Writes a queue's archive, reads it again, and only then says that it is there.

Bound to a stamp: the file is named after it, and whatever happens in the queue meanwhile moves it,
and then nothing is kept. Killed at any point: what is under the name is whole, or the next run sees
that it is not and writes it again. A whole one of this very state is taken as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from bullmq_operator.archive.destination import Destination, file_name
from bullmq_operator.archive.errors import ArchiveError, ArchiveReason
from bullmq_operator.archive.stores import Store, open_store
from bullmq_operator.archive.stream import NotWholeError, Packer, Seal, Unpacker, batches
from bullmq_operator.domain.archive import (
    FINISHED,
    ArchivedJobs,
    ArchiveOutcome,
    JobState,
    Record,
)
from bullmq_operator.domain.counts import Inventory, QueueCounts, QueueReading
from bullmq_operator.domain.names import QueueId, VersionKey
from bullmq_operator.queues import archiving, keys
from bullmq_operator.queues.archiving import ActivityError
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.counts import read_queue

ACTIVITY: Final = "Activity"
_INDEXED: Final = tuple(state for state in JobState if state is not JobState.ORPHANED)
"""Active jobs come last: put back in the file's order, they are next, as they were."""
_TRIES: Final = 100
"""Archives of one stamp: several only where jobs vanished without a trace in the stream."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be archived, and for whom."""

    queue: QueueId
    version: VersionKey
    inventory: Inventory
    """Of the proof: its stamp is the archive's."""
    jobs: ArchivedJobs = ArchivedJobs.ALL


async def archive_queue(
    connection: RedisConnection, order: Order, destination: Destination, now: datetime
) -> ArchiveOutcome:
    """A whole, verified archive of the queue at the order's stamp, or `stopped_by`.

    Nothing in Redis is changed. Safe to repeat, also by two operators at once. Raises ArchiveError,
    QueueReadError.
    """
    store = open_store(destination)
    reading = await read_queue(connection, order.queue.base)
    if reading.stamp != order.inventory.stamp:
        return ArchiveOutcome("", order.inventory.stamp, stopped_by=ACTIVITY)
    task = _Task(connection, order, store, destination, reading)
    header = await task.header(now)
    for number in range(1, _TRIES):
        name = file_name(order.queue, connection.address, reading.stamp, order.jobs, number)
        there = await task.found(name)
        if there is None:
            return await task.written(name, header, now)
        if _same_state(there.header, header):
            return task.outcome(name, there.seal, reused=True)
    raise ArchiveError(
        ArchiveReason.NOT_WHOLE,
        f"{destination.named_by}: {destination.url('')} holds {_TRIES} archives of this queue and "
        "stamp, each of other jobs; look at them by hand.",
    )


@dataclass(frozen=True, slots=True)
class _Found:
    header: dict[str, Any]
    seal: Seal


@dataclass(frozen=True, slots=True)
class _Task:
    """One archive."""

    connection: RedisConnection
    order: Order
    store: Store
    destination: Destination
    reading: QueueReading

    async def header(self, now: datetime) -> dict[str, Any]:
        """All that is known before the first job; `createdAt` alone differs when it is repeated."""
        queue, state = self.order.queue, await archiving.read_state(self.connection, self._base)
        return {
            "queue": {"prefix": queue.prefix, "name": queue.name},
            "version": str(self.order.version),
            "redis": self.connection.address,
            "stamp": self.reading.stamp,
            "jobs": self.order.jobs.value,
            "counts": _counted(self.reading.counts),
            "jobsAdded": state.jobs_added,
            "priorityCounter": state.priority_counter,
            "settings": dict(sorted(state.settings.items())),
            "createdAt": now.isoformat(timespec="seconds"),
        }

    async def found(self, name: str) -> _Found | None:
        """A whole archive of this name. One that is not whole counts as none."""
        if not await self.store.exists(name):
            return None
        unpacker = Unpacker()
        header: dict[str, Any] = {}
        try:
            async for lines in batches(self.store.read(name), unpacker):
                header = header or (lines[0] if lines else {})
        except NotWholeError:
            return None
        return _Found(header, unpacker.end())

    async def written(self, name: str, header: dict[str, Any], now: datetime) -> ArchiveOutcome:
        """Write, and read again."""
        try:
            seal = await self._write(name, header, now)
        except ActivityError:
            return ArchiveOutcome("", self.reading.stamp, stopped_by=ACTIVITY)
        there = await self.found(name)
        if there is None or there.seal != seal:
            raise ArchiveError(
                ArchiveReason.NOT_WHOLE,
                f"{self.destination.named_by}: {self.destination.url(name)} is not what was "
                "written to it; it is written again.",
            )
        return self.outcome(name, seal)

    def outcome(self, name: str, seal: Seal, *, reused: bool = False) -> ArchiveOutcome:
        """For the status."""
        url = self.destination.url(name)
        return ArchiveOutcome(url, self.reading.stamp, seal.jobs, seal.states, reused)

    async def _write(self, name: str, header: dict[str, Any], now: datetime) -> Seal:
        """Raises ActivityError; then nothing is left under the name."""
        packer = Packer()
        async with self.store.write(name, now) as write:
            await write(packer.header(header))
            async for records in self._records():
                # In a thread: a page of large jobs would keep the loop from its other work.
                if content := await asyncio.to_thread(packer.records, records):
                    await write(content)
            await self._confirm(packer)
            content, seal = packer.trailer()
            await write(content)
        return seal

    async def _records(self) -> AsyncIterator[Sequence[Record]]:
        connection, base, found = self.connection, self._base, self.order.inventory
        if self.order.jobs is not ArchivedJobs.FAILED:
            async for schedulers in archiving.read_schedulers(connection, base):
                yield schedulers
            assert self.reading.redis_time is not None
            now_ms = int(self.reading.redis_time.timestamp() * 1000)
            yield await archiving.read_deduplications(connection, base, self._owned(), now_ms)
            yield await archiving.read_pending(connection, base, found.pending_deduplicated)
        for state in _states(self.order.jobs):
            async for jobs in archiving.read_jobs(connection, base, state, found.stamp):
                yield jobs
        async for orphans in archiving.read_orphans(connection, base, self._orphans()):
            yield orphans

    async def _confirm(self, packer: Packer) -> None:
        """All jobs that were counted were written, and nothing happened. Raises ActivityError."""
        now = await read_queue(self.connection, self._base)
        counts = _counted(now.counts)
        counted = {state.value: counts[state.value] for state in _states(self.order.jobs)}
        written = {name: packer.states[name] for name in counted}
        if (now.stamp, now.counts) != (self.reading.stamp, self.reading.counts):
            raise ActivityError
        if counted != written:
            raise ActivityError

    def _owned(self) -> list[str]:
        head = f"{self._base}de:"
        residue = self.order.inventory.residue
        return [name.removeprefix(head) for name in residue if name.startswith(head)]

    def _orphans(self) -> list[str]:
        """Also finished ones that no index holds: the sweep deletes them."""
        inventory, at = self.order.inventory, len(self._base)
        match self.order.jobs:
            case ArchivedJobs.FAILED:
                return []
            case ArchivedJobs.UNFINISHED:
                return list(inventory.orphans)
            case ArchivedJobs.ALL:
                rests = [name[at:] for name in inventory.residue]
                left = [rest for rest in rests if _may_be_job(rest)]
                return [*inventory.orphans, *left]

    @property
    def _base(self) -> str:
        return self.order.queue.base


def _states(jobs: ArchivedJobs) -> tuple[JobState, ...]:
    match jobs:
        case ArchivedJobs.FAILED:
            return (JobState.FAILED,)
        case ArchivedJobs.UNFINISHED:
            return tuple(state for state in _INDEXED if state not in FINISHED)
        case ArchivedJobs.ALL:
            return _INDEXED


def _may_be_job(rest: str) -> bool:
    return rest not in keys.FIXED and (":" not in rest or rest.startswith("repeat:"))


def _counted(counts: QueueCounts) -> dict[str, int]:
    return {
        JobState.COMPLETED.value: counts.completed,
        JobState.FAILED.value: counts.failed,
        JobState.DELAYED.value: counts.delayed,
        JobState.PRIORITIZED.value: counts.prioritized,
        JobState.WAITING_CHILDREN.value: counts.waiting_children,
        JobState.WAITING.value: counts.waiting,
        JobState.PAUSED.value: counts.paused,
        JobState.ACTIVE.value: counts.active,
        "schedulers": counts.schedulers,
    }


def _same_state(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return {**one, "createdAt": ""} == {**other, "kind": "archive", "format": 1, "createdAt": ""}
