"""Puts archived records into a queue. Nothing that is there is changed or taken for another."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from bullmq_operator.domain.archive import (
    DeduplicationRecord,
    JobRecord,
    JobState,
    PendingRecord,
    QueueState,
    SchedulerRecord,
)
from bullmq_operator.queues import scripts
from bullmq_operator.queues.cancelling import stop_if_cancelled
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.errors import translated

BATCH_JOBS: Final = 20
BATCH_BYTES: Final = 128 * 1024
"""Of one call: about a millisecond of Redis's time."""

_RESTORE: Final = scripts.load("restore")
_RAISE: Final = scripts.load("raise-counter")
_EMPTY: Final = JobRecord("", JobState.WAITING, {})


class Place(enum.IntEnum):
    """What is there under the id of a record; lua/restore.lua's numbers."""

    FREE = 0
    SAME = 1
    TAKEN = 2


class Mode(enum.StrEnum):
    """What a call does; lua/restore.lua's words."""

    LOOK = "look"
    REFUSE = "refuse"
    SKIP = "skip"


async def look_for(
    connection: RedisConnection, base: str, jobs: Sequence[JobRecord]
) -> list[Place]:
    """What is there under the ids of these jobs; writes nothing. Raises QueueReadError."""
    by_id = [replace(_EMPTY, id=job.id) for job in jobs]
    places = await restore_jobs(connection, base, by_id, Mode.LOOK)
    at = [number for number, place in enumerate(places) if place is not Place.FREE]
    compared = await restore_jobs(connection, base, [jobs[number] for number in at], Mode.LOOK)
    for number, place in zip(at, compared, strict=True):
        places[number] = place
    return places


async def restore_jobs(
    connection: RedisConnection, base: str, jobs: Sequence[JobRecord], mode: Mode
) -> list[Place]:
    """Each call is atomic: a job is there with its place in an index, or not at all.

    Raises QueueReadError.
    """
    places = []
    for batch in batched(jobs):
        words = [word for job in batch for word in _words(job)]
        answers = await scripts.run(connection, _RESTORE, base, (mode.value, *words))
        places += [Place(answer) for answer in answers]
        stop_if_cancelled()
    return places


async def restore_state(connection: RedisConnection, base: str, state: QueueState) -> None:
    """Before the first job. Counters only go up, so that no new job gets an old one's id. Settings
    are those of whoever set them since, and a queue that is there is not paused. Raises
    QueueReadError.
    """
    with translated(connection.address):
        is_new = not await connection.client.exists(f"{base}meta")
        settings = {name: value for name, value in state.settings.items() if is_new or _lasts(name)}
        async with connection.client.pipeline(transaction=True) as pipe:
            for name, value in sorted(settings.items()):
                pipe.hsetnx(f"{base}meta", name, value)
            await pipe.execute()
    for counter, least in (("id", state.jobs_added), ("pc", state.priority_counter)):
        if least is not None:
            await scripts.run(connection, _RAISE, base, (counter, least))


async def restore_scheduler(
    connection: RedisConnection, base: str, record: SchedulerRecord, mode: Mode
) -> tuple[Place, bool]:
    """Also says whether one that is there has another next run: then the archive's next job would
    run beside its own. Raises QueueReadError.
    """
    key = f"{base}repeat:{record.id}"
    with translated(connection.address):
        score = await connection.client.zscore(f"{base}repeat", record.id)
        if score is not None:
            fields = await connection.client.hgetall(key)
            same = _definition(fields) == _definition(record.fields)
            return (Place.SAME if same else Place.TAKEN), score != float(record.next)
        if mode is not Mode.LOOK:
            async with connection.client.pipeline(transaction=True) as pipe:
                if record.fields:
                    pipe.hset(key, mapping=dict(record.fields))
                pipe.zadd(f"{base}repeat", {record.id: float(record.next)}, nx=True)
                await pipe.execute()
    return Place.FREE, False


async def restore_deduplication(
    connection: RedisConnection, base: str, record: DeduplicationRecord, now_ms: int
) -> None:
    """Unless it has run out, or the id is owned again. Raises QueueReadError."""
    if record.expires is not None and record.expires <= now_ms:
        return
    left = None if record.expires is None else record.expires - now_ms
    with translated(connection.address):
        await connection.client.set(f"{base}de:{record.id}", record.owner, px=left, nx=True)


async def restore_pending(connection: RedisConnection, base: str, record: PendingRecord) -> Place:
    """Raises QueueReadError."""
    key = f"{base}dn:{record.id}"
    with translated(connection.address):
        there = await connection.client.hgetall(key)
        if there:
            return Place.SAME if there == record.fields else Place.TAKEN
        await connection.client.hset(key, mapping=dict(record.fields))
    return Place.FREE


def batched(jobs: Iterable[JobRecord]) -> Iterator[list[JobRecord]]:
    """So many as one call should carry, at least one."""
    batch: list[JobRecord] = []
    size = 0
    for job in jobs:
        weight = _weight(job)
        if batch and (len(batch) == BATCH_JOBS or size + weight > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(job)
        size += weight
    if batch:
        yield batch


def index_of(job: JobRecord) -> tuple[str, str]:
    """(index, score) to put it back into.

    Jobs that waited, and those that a worker had or nobody saw, wait: they were promised to run.
    """
    match job.state:
        case JobState.WAITING | JobState.PAUSED | JobState.ACTIVE:
            return "wait", ""
        case JobState.ORPHANED if "finishedOn" in job.fields:
            state = JobState.FAILED if job.fields.get("failedReason") else JobState.COMPLETED
            return state.value, job.fields["finishedOn"]
        case JobState.ORPHANED:
            return "wait", ""
        case _:
            return job.state.value, job.score or "0"


def _lasts(setting: str) -> bool:
    """Not what each client writes for itself, nor a pause."""
    return setting not in ("version", "paused") and not setting.startswith("opts.")


def _definition(fields: Mapping[str, str]) -> dict[str, str]:
    """Without what moves on with each run."""
    return {name: value for name, value in fields.items() if name not in ("ic", "offset")}


def _weight(job: JobRecord) -> int:
    hashes: tuple[Mapping[str, str], ...] = (job.fields, job.processed, job.failed)
    return sum(len(value) for one in hashes for value in one.values()) + sum(map(len, job.logs))


def _words(job: JobRecord) -> Iterator[str | int]:
    index, score = index_of(job)
    yield from (job.id, index, score)
    parts: tuple[Sequence[str], ...] = (
        _flat(job.fields),
        job.logs,
        job.dependencies,
        _flat(job.processed),
        _flat(job.failed),
        [word for member, rank in job.unsuccessful.items() for word in (rank, member)],
    )
    for part in parts:
        yield len(part)
        yield from part


def _flat(pairs: Mapping[str, str]) -> list[str]:
    return [word for pair in pairs.items() for word in pair]
