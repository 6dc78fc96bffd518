"""Many queues in a few round trips, each queue at one instant, nothing written.

`read_queues` does all of it. The poll, which asks the same questions at each beat, takes the parts:
`calls_for` once, `ask` each time, and `parsed` for the rows that are not as they were.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from typing import Any, Final

from bullmq_operator.domain.counts import QueueCounts, QueueReading, Unknown, UnknownReason
from bullmq_operator.queues import scripts
from bullmq_operator.queues.cluster import for_each_base, slot_of, untagged
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.errors import QueueReadError, refusal_in_script, translated

CHUNK: Final = 100
"""Queues per call: about 1 ms of Redis's time."""
IN_FLIGHT: Final = 2
"""Calls at a time: Redis answers one while we read the other. All that have arrived are answered
in one go, so whoever else asks Redis for something waits for so many."""

_COUNTS: Final = scripts.load("counts")

Row = list[Any] | str | Unknown
"""What lua/counts.lua says of one queue, or why it was not asked (its node of a Cluster is lost).
The same row: nothing that is counted has changed."""
_NO_TIME: Final = datetime.min.replace(tzinfo=UTC)
"""Of an answer that tells of no queue."""


@dataclass(frozen=True, slots=True)
class Call:
    """One question about some queues; it can be asked again and again."""

    bases: tuple[str, ...]
    words: tuple[bytes | int, ...]
    """Encoded once; a queue's name comes from an object's JSON, which is always UTF-8."""


@dataclass(frozen=True, slots=True)
class Answer:
    """All rows are of one instant."""

    redis_time: datetime
    rows: list[Row]
    """In the order of the call's bases."""


async def read_queues(
    connection: RedisConnection, bases: Sequence[str], with_stamp: Collection[str] = ()
) -> dict[str, QueueReading | Unknown]:
    """Read the queues with these bases; a queue that can't be read does not fail the others.

    `with_stamp`: the bases whose stamp is wanted too (it doubles the cost of a reading).
    Raises QueueReadError when Redis itself can't be read.
    """
    calls = calls_for(connection, bases, with_stamp)
    return {
        base: parsed(connection.address, base, row, answer.redis_time)
        for call, answer in zip(calls, await ask(connection, calls), strict=True)
        for base, row in zip(call.bases, answer.rows, strict=True)
    }


async def read_queue(connection: RedisConnection, base: str) -> QueueReading:
    """One queue with its stamp. Raises QueueReadError, also for keys of a wrong type."""
    reading = (await read_queues(connection, [base], with_stamp=[base]))[base]
    if isinstance(reading, Unknown):
        raise QueueReadError(reading.reason, reading.message)
    return reading


def calls_for(
    connection: RedisConnection, bases: Sequence[str], with_stamp: Collection[str]
) -> list[Call]:
    """The queues in this order, so many to a call as Redis answers in about a millisecond."""
    calls = []
    for chunk in _chunks(connection, bases):
        flags = "".join("1" if base in with_stamp else "0" for base in chunk)
        keys = [f"{chunk[0]}meta"] if connection.is_cluster else []
        words = (word.encode() for word in (*keys, flags, *chunk))
        calls.append(Call(chunk, (len(keys), *words)))
    return calls


def _chunks(connection: RedisConnection, bases: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """On a Cluster a call is for queues of one slot: all of them where the prefix has a tag."""
    for _, neighbours in groupby(bases, slot_of if connection.is_cluster else bool):
        same = tuple(neighbours)
        for start in range(0, len(same), CHUNK):
            yield same[start : start + CHUNK]


async def ask(connection: RedisConnection, calls: Sequence[Call]) -> list[Answer]:
    """The answers, in the order of the calls. Raises QueueReadError at the first that fails.

    On a Cluster it raises only when all of them fail: a lost node does not fail the others.
    """
    if connection.is_cluster:
        return await _ask_cluster(connection, calls)
    pending = deque(enumerate(calls))
    answers: dict[int, Answer] = {}

    async def work() -> None:
        try:
            while pending:
                number, call = pending.popleft()
                reply = await scripts.evaluate(connection, _COUNTS, call.words)
                answers[number] = Answer(_time(reply[0]), reply[1:])
        except BaseException:
            pending.clear()  # for the others: what follows would fail as this did
            raise

    width = min(IN_FLIGHT, len(calls))
    results = await asyncio.gather(*(work() for _ in range(width)), return_exceptions=True)
    with translated(connection.address):
        for failure in results:
            if failure is not None:
                raise failure
    return [answers[number] for number in range(len(calls))]


async def _ask_cluster(connection: RedisConnection, calls: Sequence[Call]) -> list[Answer]:
    async def one(number: int) -> Answer:
        if slot_of(calls[number].bases[0]) is None:
            raise untagged(calls[number].bases[0], connection.address)
        reply = await scripts.evaluate(connection, _COUNTS, calls[number].words)
        return Answer(_time(reply[0]), reply[1:])

    bases = [call.bases[0] for call in calls]
    found = await for_each_base(connection.client, connection.address, bases, one)
    failures = [answer for answer in found if isinstance(answer, QueueReadError)]
    if failures and all(isinstance(a, QueueReadError) and a.__cause__ for a in found):
        raise failures[0]
    return [
        Answer(_NO_TIME, [answer.unknown] * len(call.bases))
        if isinstance(answer, QueueReadError)
        else answer
        for call, answer in zip(calls, found, strict=True)
    ]


def parsed(address: str, base: str, row: Row, redis_time: datetime) -> QueueReading | Unknown:
    """What a row means."""
    if isinstance(row, Unknown):
        return row
    if isinstance(row, str):
        return refusal_in_script(row, address, base)
    unfinished, jobs_added, completed, failed, paused, has_keys, stamp = row
    if jobs_added and not jobs_added.isdecimal():
        return _no_number(base)
    return QueueReading(
        counts=_counts(unfinished, completed, failed),
        is_paused=paused == 1,
        jobs_added=int(jobs_added) if jobs_added else None,
        has_keys=has_keys == 1,
        stamp=stamp or None,
        redis_time=redis_time,
    )


@lru_cache(maxsize=4096)
def _counts(unfinished: str | int, completed: int, failed: int) -> QueueCounts:
    """Most queues share few sets of counts: made once."""
    if isinstance(unfinished, int):
        return QueueCounts(completed=completed, failed=failed)
    by_state = [*map(int, unfinished.split()), completed, failed]
    return QueueCounts(*by_state)


def _time(text: str) -> datetime:
    seconds, _, microseconds = text.partition(" ")
    return datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(microseconds))


def _no_number(base: str) -> Unknown:
    """BullMQ's INCR fails on it."""
    return Unknown(
        UnknownReason.WRONG_TYPE,
        f"The key {base}id holds no number, so nothing can be added; look at it by hand.",
    )
