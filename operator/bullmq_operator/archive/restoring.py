"""Puts an archive back into a queue: the same one, another, or with other ids.

The file is read twice. First whole, to its trailer, looking and writing nothing: an archive that is
not whole, or an id that another job has, stops it before anything is changed. Then record by
record; killed at any point, a repetition finds what is there and goes on behind it.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bullmq_operator.archive.destination import Destination
from bullmq_operator.archive.errors import ArchiveError, ArchiveReason
from bullmq_operator.archive.lines import LineError, decoded
from bullmq_operator.archive.stores import Store, open_store
from bullmq_operator.archive.stream import NotWholeError, Unpacker, batches
from bullmq_operator.domain.archive import (
    DeduplicationRecord,
    JobRecord,
    PendingRecord,
    QueueState,
    Record,
    SchedulerRecord,
)
from bullmq_operator.queues import keys, restoring
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.counts import read_queue
from bullmq_operator.queues.restoring import Mode, Place

NAMES: Final = 5
"""Ids of collisions to tell."""


class CollisionError(Exception):
    """Ids of the archive are other jobs' in the queue; nothing was written of these."""

    def __init__(self, ids: list[str], count: int) -> None:
        super().__init__(f"{count} ids of the archive are taken by other jobs")
        self.ids = ids
        self.count = count


@dataclass(frozen=True, slots=True)
class Target:
    """Where the jobs go, and under which ids."""

    base: str
    id_prefix: str = ""
    """Before every id, so that none can collide; parents and children find each other all the
    same. A scheduler's next job keeps its id, which the scheduler knows it by."""
    skip_taken: bool = False
    """Leave out what collides, instead of refusing all."""
    dry_run: bool = False


@dataclass(slots=True)
class Restored:
    """What was done."""

    header: Mapping[str, Any] = field(default_factory=dict)
    written: Counter[str] = field(default_factory=Counter)
    """By the state in the archive; `schedulers` too."""
    there: int = 0
    """The very same jobs were in the queue already."""
    skipped: int = 0
    """Ids that are other jobs'."""
    gone: int = 0
    """Ids that an index held without a job."""
    links: int = 0
    """Jobs with a parent or a child in another queue, while this one has another name now."""
    collisions: list[str] = field(default_factory=list)


async def restore(
    connection: RedisConnection, source: Destination, name: str, target: Target
) -> Restored:
    """Raises ArchiveError, CollisionError, QueueReadError."""
    store = open_store(source)
    found = await _Pass(connection, store, source, name, target, Mode.LOOK).run()
    if found.skipped and not target.skip_taken:
        raise CollisionError(found.collisions, found.skipped)
    if target.dry_run:
        return found
    mode = Mode.SKIP if target.skip_taken else Mode.REFUSE
    return await _Pass(connection, store, source, name, target, mode).run()


class _Pass:
    """Once through the file."""

    def __init__(
        self,
        connection: RedisConnection,
        store: Store,
        source: Destination,
        name: str,
        target: Target,
        mode: Mode,
    ) -> None:
        self._connection, self._store, self._source, self._name = connection, store, source, name
        self._target, self._mode = target, mode
        self._rename = Rename("", target.base, target.id_prefix)
        self._result = Restored()
        self._moved_on: dict[str, Place] = {}
        self._now_ms = 0

    async def run(self) -> Restored:
        """Raises what `restore` does."""
        reading = await read_queue(self._connection, self._target.base)
        if reading.redis_time is not None:
            self._now_ms = int(reading.redis_time.timestamp() * 1000)
        async for lines in self._lines():
            if not self._result.header and lines:
                await self._begin(lines.pop(0))
            # In a thread: some thousand lines are work of many milliseconds.
            await self._restore(await asyncio.to_thread(self._records, lines))
        return self._result

    async def _lines(self) -> AsyncIterator[list[dict[str, Any]]]:
        try:
            async for lines in batches(self._store.read(self._name), Unpacker()):
                yield lines
        except NotWholeError as error:
            raise self._not_whole(str(error)) from None

    async def _begin(self, header: dict[str, Any]) -> None:
        self._result.header = header
        try:
            queue = header["queue"]
            self._rename = Rename(
                f"{queue['prefix']}:{queue['name']}:", self._target.base, self._target.id_prefix
            )
            settings, added, priority = (
                header[name] for name in ("settings", "jobsAdded", "priorityCounter")
            )
        except (KeyError, TypeError):
            raise self._not_whole("has no header that this version reads") from None
        if self._mode is not Mode.LOOK:
            state = QueueState(settings, added, priority)
            await restoring.restore_state(self._connection, self._target.base, state)

    def _records(self, lines: list[dict[str, Any]]) -> list[Record]:
        return [self._record(line) for line in lines]

    def _record(self, line: dict[str, Any]) -> Record:
        try:
            record = decoded(line)
        except LineError as error:
            raise self._not_whole(str(error)) from None
        renamed = self._rename.record(record)
        if isinstance(renamed, JobRecord) and not _may_name_job(renamed.id):
            raise self._not_whole("holds an id that no job can have")
        return renamed

    async def _restore(self, records: Iterable[Record]) -> None:
        connection, base = self._connection, self._target.base
        jobs = []
        for record in records:
            match record:
                case JobRecord():
                    jobs.append(record)
                case SchedulerRecord():
                    await self._restore_scheduler(record)
                case DeduplicationRecord() if self._mode is not Mode.LOOK:
                    await restoring.restore_deduplication(connection, base, record, self._now_ms)
                case PendingRecord() if self._mode is not Mode.LOOK:
                    await restoring.restore_pending(connection, base, record)
        await self._restore_jobs(jobs)

    async def _restore_scheduler(self, record: SchedulerRecord) -> None:
        place, has_moved_on = await restoring.restore_scheduler(
            self._connection, self._target.base, record, self._mode
        )
        self._count(place, "schedulers", record.id)
        if has_moved_on:
            self._moved_on[f"repeat:{record.id}:"] = place

    async def _restore_jobs(self, jobs: list[JobRecord]) -> None:
        whole = []
        for job in jobs:
            if not job.fields:
                self._result.gone += 1
            elif (place := self._scheduled(job)) is not None:
                self._count(place, job.state.value, job.id)
            else:
                whole.append(job)
        places = await self._places(whole)
        for job, place in zip(whole, places, strict=True):
            self._count(place, job.state.value, job.id)
            self._result.links += self._rename.leaves_links(job)
        if self._mode is Mode.REFUSE and self._result.skipped:
            raise CollisionError(self._result.collisions, self._result.skipped)

    async def _places(self, jobs: list[JobRecord]) -> list[Place]:
        connection, base = self._connection, self._target.base
        if self._mode is Mode.LOOK:
            return await restoring.look_for(connection, base, jobs)
        return await restoring.restore_jobs(connection, base, jobs, self._mode)

    def _scheduled(self, job: JobRecord) -> Place | None:
        """For the next job of a scheduler that has one of its own by now."""
        if not self._moved_on or not job.id.startswith("repeat:"):
            return None
        heads = (head for head in self._moved_on if job.id.startswith(head))
        return next((self._moved_on[head] for head in heads), None)

    def _count(self, place: Place, what: str, name: str) -> None:
        match place:
            case Place.FREE:
                self._result.written[what] += 1
            case Place.SAME:
                self._result.there += 1
            case Place.TAKEN:
                self._result.skipped += 1
                if len(self._result.collisions) < NAMES:
                    self._result.collisions.append(name)

    def _not_whole(self, what: str) -> ArchiveError:
        where = self._source.url(self._name)
        return ArchiveError(
            ArchiveReason.NOT_WHOLE, f"{self._source.named_by}: {where} {what}; nothing is restored"
        )


@dataclass(frozen=True, slots=True)
class Rename:
    """From the archive's queue and ids to the target's, wherever a record names one."""

    old: str
    new: str
    id_prefix: str

    def record(self, record: Record) -> Record:
        """The same, where nothing has another name."""
        if self.old == self.new and not self.id_prefix:
            return record
        match record:
            case JobRecord():
                return self._job(record)
            case DeduplicationRecord():
                return replace(record, owner=self._id(record.owner))
            case SchedulerRecord() | PendingRecord():
                return record

    def leaves_links(self, job: JobRecord) -> bool:
        """Whether another queue knows this job by a name that it has no more."""
        if self.old == self.new and not self.id_prefix:
            return False
        parent = job.fields.get("parentKey", self.new)
        return not all(key.startswith(self.new) for key in (parent, *job.dependencies))

    def _job(self, job: JobRecord) -> JobRecord:
        fields = dict(job.fields)
        if "parentKey" in fields:
            fields["parentKey"] = self._key(fields["parentKey"])
        if "parent" in fields:
            fields["parent"] = self._parent(fields["parent"])
        return replace(
            job,
            id=self._id(job.id),
            fields=fields,
            dependencies=tuple(map(self._key, job.dependencies)),
            processed={self._key(key): value for key, value in job.processed.items()},
            failed={self._key(key): value for key, value in job.failed.items()},
            unsuccessful={self._key(key): value for key, value in job.unsuccessful.items()},
        )

    def _id(self, job: str) -> str:
        return job if job.startswith("repeat:") else f"{self.id_prefix}{job}"

    def _key(self, key: str) -> str:
        """Of a job; another queue's stays."""
        rest = key.removeprefix(self.old)
        if rest == key or (":" in rest and not rest.startswith("repeat:")):
            return key
        return f"{self.new}{self._id(rest)}"

    def _parent(self, text: str) -> str:
        """`{"id", "queueKey", ...}` (BullMQ `classes/job.js` parent)."""
        try:
            parent = json.loads(text)
            if parent.get("queueKey") != self.old.removesuffix(":"):
                return text
            parent["id"] = self._id(parent["id"])
        except (ValueError, AttributeError, KeyError):
            return text
        parent["queueKey"] = self.new.removesuffix(":")
        return json.dumps(parent, separators=(",", ":"), ensure_ascii=False)


def _may_name_job(name: str) -> bool:
    """The queue's own keys are not to be written over."""
    return bool(name) and name not in keys.FIXED
