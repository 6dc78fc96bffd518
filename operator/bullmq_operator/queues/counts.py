"""Many queues in a few round trips, each queue at one instant, nothing written.

`read_queues` does all of it. The poll, which asks the same questions at each beat, takes the parts:
`calls_for` once, `ask` each time, and `parsed` for the rows that are not as they were.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from bullmq_operator.domain.counts import QueueCounts, QueueReading, Unknown, UnknownReason
from bullmq_operator.queues import scripts
from bullmq_operator.queues.connection import MAX_CONNECTIONS, RedisConnection
from bullmq_operator.queues.errors import QueueReadError, translated, wrong_type_message

CHUNK: Final = 100
"""Queues per call: about 1 ms of Redis's time."""
IN_FLIGHT: Final = 2
"""Calls at a time: Redis answers one while we read the other. All that have arrived are answered
in one go, so whoever else asks Redis for something waits for so many."""

_COUNTS: Final = scripts.load("counts")

Row = list[Any] | str
"""What lua/counts.lua says of one queue. The same row: nothing that is counted has changed."""


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
    size = 1 if connection.is_cluster else CHUNK
    calls = []
    for start in range(0, len(bases), size):
        chunk = tuple(bases[start : start + size])
        flags = "".join("1" if base in with_stamp else "0" for base in chunk)
        keys = [f"{chunk[0]}meta"] if connection.is_cluster else []
        words = (word.encode() for word in (*keys, flags, *chunk))
        calls.append(Call(chunk, (len(keys), *words)))
    return calls


async def ask(connection: RedisConnection, calls: Sequence[Call]) -> list[Answer]:
    """The answers, in the order of the calls. Raises QueueReadError at the first that fails."""
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

    width = min(MAX_CONNECTIONS if connection.is_cluster else IN_FLIGHT, len(calls))
    results = await asyncio.gather(*(work() for _ in range(width)), return_exceptions=True)
    with translated(connection.address):
        for failure in results:
            if failure is not None:
                raise failure
    return [answers[number] for number in range(len(calls))]


def parsed(address: str, base: str, row: Row, redis_time: datetime) -> QueueReading | Unknown:
    """What a row means."""
    if isinstance(row, str):
        return _failure(address, base, row)
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


def _failure(address: str, base: str, error: str) -> Unknown:
    queue = f"queue {base.rstrip(':')}"
    if "WRONGTYPE" in error:
        return Unknown(UnknownReason.WRONG_TYPE, wrong_type_message(queue))
    if any(mark in error for mark in ("NOPERM", "ACL failure", "permission")):
        return Unknown(
            UnknownReason.FORBIDDEN,
            f"Redis {address} forbids its user to read {queue}; extend the user's ACL.",
        )
    return Unknown(UnknownReason.UNREACHABLE, f"Redis {address} could not read {queue}.")
