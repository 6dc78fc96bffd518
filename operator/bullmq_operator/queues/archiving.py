"""Reads a queue for its archive: job by job, whole, in calls of about a millisecond.

Memory holds one page of jobs, however many there are. Nothing is written. A walk by rank sees each
job once only if the index stays as it is, so every call also says the stamp and who stands just
before its page; either one changed means activity, and the walk is over.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from bullmq_operator.domain.archive import (
    LISTS,
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

PAGE: Final = 200
"""Jobs per call at most; lua/page.lua ends a page by its time and its size."""
LONG_PART_PAGE: Final = 1000
"""Elements per call of a part that lua/page.lua left out as too long."""

_PAGE: Final = scripts.load("page")

Part = list[str]
"""As Redis gives it: hashes and sorted sets alternate names and values."""


class ActivityError(Exception):
    """The queue changed during the walk; what was read belongs to no stamp."""


async def read_state(connection: RedisConnection, base: str) -> QueueState:
    """Settings and counters. Raises QueueReadError."""
    with translated(connection.address):
        async with connection.client.pipeline(transaction=False) as pipe:
            pipe.hgetall(f"{base}meta")
            pipe.get(f"{base}id")
            pipe.get(f"{base}pc")
            settings, jobs_added, priority_counter = await pipe.execute()
    return QueueState(settings, _number(jobs_added), _number(priority_counter))


async def read_jobs(
    connection: RedisConnection, base: str, state: JobState, stamp: str | None
) -> AsyncIterator[list[JobRecord]]:
    """All jobs of one index, in its order, page by page. Raises QueueReadError, ActivityError."""
    rank, last = 0, ""
    kind = "list" if state in LISTS else "zset"
    while True:
        arguments: tuple[str | int, ...] = (state.value, kind, rank, PAGE)
        now, before, looked, final, *rows = await scripts.run(connection, _PAGE, base, arguments)
        stop_if_cancelled()
        if (now or None) != stamp or (last and before != last):
            raise ActivityError
        if not looked:
            return
        rank, last = rank + looked, final
        if rows:
            yield [await _job(connection, base, row, state) for row in rows]


async def read_orphans(
    connection: RedisConnection, base: str, ids: Sequence[str]
) -> AsyncIterator[list[JobRecord]]:
    """Jobs in no index; ids that turn out to be no jobs are left out. Raises QueueReadError."""
    at = 0
    while at < len(ids):
        arguments: tuple[str | int, ...] = ("", "", 0, 0, *ids[at : at + PAGE])
        _, _, looked, _, *rows = await scripts.run(connection, _PAGE, base, arguments)
        at += looked
        jobs = [await _job(connection, base, row, JobState.ORPHANED) for row in rows]
        yield [job for job in jobs if "timestamp" in job.fields]


async def read_schedulers(
    connection: RedisConnection, base: str
) -> AsyncIterator[list[SchedulerRecord]]:
    """Schedulers and repeatables. Raises QueueReadError."""
    first = 0
    while True:
        with translated(connection.address):
            last = first + PAGE - 1
            scored = await connection.client.zrange(f"{base}repeat", first, last, withscores=True)
            if not scored:
                return
            async with connection.client.pipeline(transaction=False) as pipe:
                for name, _ in scored:
                    pipe.hgetall(f"{base}repeat:{name}")
                several = await pipe.execute()
        first += len(scored)
        yield [
            SchedulerRecord(name, _plain(score), fields)
            for (name, score), fields in zip(scored, several, strict=True)
        ]


async def read_deduplications(
    connection: RedisConnection, base: str, ids: Sequence[str], now_ms: int
) -> list[DeduplicationRecord]:
    """`now_ms`: Redis's own time, for when they expire. Raises QueueReadError."""
    found = []
    for start in range(0, len(ids), PAGE):
        batch = ids[start : start + PAGE]
        with translated(connection.address):
            async with connection.client.pipeline(transaction=False) as pipe:
                for name in batch:
                    pipe.get(f"{base}de:{name}")
                    pipe.pttl(f"{base}de:{name}")
                answers = await pipe.execute()
        for name, owner, left in zip(batch, answers[::2], answers[1::2], strict=True):
            if owner is not None:
                found.append(DeduplicationRecord(name, owner, now_ms + left if left > 0 else None))
    return found


async def read_pending(
    connection: RedisConnection, base: str, ids: Iterable[str]
) -> list[PendingRecord]:
    """Adds that are no jobs yet. Raises QueueReadError."""
    found = []
    for name in ids:
        with translated(connection.address):
            fields = await connection.client.hgetall(f"{base}dn:{name}")
        if fields:
            found.append(PendingRecord(name, fields))
    return found


async def _job(
    connection: RedisConnection, base: str, row: Sequence[Any], state: JobState
) -> JobRecord:
    job_id, score, fields, *parts = row
    content: dict[str, Part] = {}
    for name, values in parts:
        key = f"{base}{job_id}:{name}"
        content[name] = values if values != "" else await _long(connection, key, name)
    return JobRecord(
        id=job_id,
        state=state,
        fields=_paired(fields),
        score=score or None,
        logs=tuple(content.get("logs", ())),
        dependencies=tuple(content.get("dependencies", ())),
        processed=_paired(content.get("processed", ())),
        failed=_paired(content.get("failed", ())),
        unsuccessful=_paired(content.get("unsuccessful", ())),
    )


async def _long(connection: RedisConnection, key: str, name: str) -> Part:
    """A part with more elements than one call should read."""
    with translated(connection.address):
        match name:
            case "logs":
                return [line async for line in _list(connection.client, key)]
            case "dependencies":
                scan = connection.client.sscan_iter(key, count=LONG_PART_PAGE)
                return sorted({member async for member in scan})
            case "unsuccessful":
                scan = connection.client.zscan_iter(key, count=LONG_PART_PAGE)
                scored = {member: _plain(score) async for member, score in scan}
            case _:
                scan = connection.client.hscan_iter(key, count=LONG_PART_PAGE)
                scored = {member: value async for member, value in scan}
    return list(_flat(scored))


async def _list(client: Any, key: str) -> AsyncIterator[str]:
    start = 0
    while chunk := await client.lrange(key, start, start + LONG_PART_PAGE - 1):
        for value in chunk:
            yield value
        start += len(chunk)


def _paired(flat: Sequence[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _flat(pairs: Mapping[str, str]) -> Iterator[str]:
    for name, value in pairs.items():
        yield name
        yield value


def _plain(score: float) -> str:
    return str(int(score)) if score == int(score) else repr(score)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
