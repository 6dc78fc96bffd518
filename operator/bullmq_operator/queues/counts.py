"""Many queues in a few round trips, each queue at one instant, nothing written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from redis.exceptions import NoScriptError

from bullmq_operator.domain.counts import QueueCounts, QueueReading, Unknown, UnknownReason
from bullmq_operator.queues import scripts
from bullmq_operator.queues.connection import MAX_CONNECTIONS, RedisConnection
from bullmq_operator.queues.errors import QueueReadError, translated, wrong_type_message

CHUNK: Final = 100
"""Queues per script call: about 1 ms of Redis's time."""
PART: Final = 2000
"""Queues per pipeline; several run side by side, on the pool's connections."""

_COUNTS: Final = scripts.load("counts")


async def read_queues(
    connection: RedisConnection, bases: Sequence[str], with_stamp: frozenset[str] | bool = False
) -> dict[str, QueueReading | Unknown]:
    """Read the queues with these bases; a queue that can't be read does not fail the others.

    `with_stamp` names the bases whose stamp is wanted too (it doubles the cost of a reading).
    Raises QueueReadError when Redis itself can't be read.
    """
    parts = [bases[i : i + PART] for i in range(0, len(bases), PART)]
    reads = [_read_part(connection, part, with_stamp) for part in parts]
    readings: dict[str, QueueReading | Unknown] = {}
    with translated(connection.address):
        for part in await asyncio.gather(*reads):
            readings.update(part)
    return readings


async def read_queue(connection: RedisConnection, base: str) -> QueueReading:
    """One queue with its stamp. Raises QueueReadError, also for keys of a wrong type."""
    reading = (await read_queues(connection, [base], with_stamp=True))[base]
    if isinstance(reading, Unknown):
        raise QueueReadError(reading.reason, reading.message)
    return reading


async def _read_part(
    connection: RedisConnection, bases: Sequence[str], with_stamp: frozenset[str] | bool
) -> dict[str, QueueReading | Unknown]:
    """One pipeline. Redis answers the next while this one is parsed."""
    size = 1 if connection.is_cluster else CHUNK
    chunks = [tuple(bases[i : i + size]) for i in range(0, len(bases), size)]
    calls = [_arguments(connection, chunk, with_stamp) for chunk in chunks]
    call = _call_each if connection.is_cluster else _call
    replies = await call(connection, calls)
    readings: dict[str, QueueReading | Unknown] = {}
    for chunk, reply in zip(chunks, replies, strict=True):
        readings.update(_parsed(connection.address, chunk, reply))
    return readings


def _arguments(
    connection: RedisConnection, chunk: Sequence[str], with_stamp: frozenset[str] | bool
) -> tuple[str | int, ...]:
    stamped = (with_stamp if isinstance(with_stamp, bool) else base in with_stamp for base in chunk)
    flags = "".join("1" if wanted else "0" for wanted in stamped)
    keys = (f"{chunk[0]}meta",) if connection.is_cluster else ()
    return (len(keys), *keys, flags, *chunk)


async def _call_each(
    connection: RedisConnection, calls: Sequence[tuple[str | int, ...]]
) -> list[Any]:
    """On a Cluster, where redis-py has no scripts in pipelines: a few calls side by side."""
    replies: list[Any] = []
    for start in range(0, len(calls), MAX_CONNECTIONS):
        group = calls[start : start + MAX_CONNECTIONS]
        replies += await asyncio.gather(*(scripts.evaluate(connection, _COUNTS, c) for c in group))
    return replies


async def _call(connection: RedisConnection, calls: Sequence[tuple[str | int, ...]]) -> list[Any]:
    replies = await _pipelined(connection, calls)
    if any(isinstance(reply, NoScriptError) for reply in replies):
        await connection.client.script_load(_COUNTS.text)
        replies = await _pipelined(connection, calls)
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


async def _pipelined(
    connection: RedisConnection, calls: Sequence[tuple[str | int, ...]]
) -> list[Any]:
    if not calls:
        return []
    async with connection.client.pipeline(transaction=False) as pipe:
        for count, *words in calls:
            pipe.evalsha(_COUNTS.digest, count, *words)
        replies: list[Any] = await pipe.execute(raise_on_error=False)
    return replies


def _parsed(
    address: str, chunk: Sequence[str], reply: Sequence[str]
) -> Iterator[tuple[str, QueueReading | Unknown]]:
    seconds, _, microseconds = reply[0].partition(" ")
    now = datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(microseconds))
    for base, line in zip(chunk, reply[1:], strict=True):
        if line.startswith("!"):
            yield base, _failure(address, base, line)
            continue
        counts, _, rest = line.partition("|")
        paused, _, rest = rest.partition("|")
        jobs_added, has_keys, stamp = rest.rsplit("|", 2)
        if jobs_added and not jobs_added.isdecimal():
            yield base, _no_number(base)
            continue
        yield (
            base,
            QueueReading(
                counts=_counts(counts),
                is_paused=paused == "1",
                jobs_added=int(jobs_added) if jobs_added else None,
                has_keys=has_keys == "1",
                stamp=stamp or None,
                redis_time=now,
            ),
        )


@lru_cache(maxsize=4096)
def _counts(text: str) -> QueueCounts:
    """Most queues share few sets of counts (all zero, above all): made once, compared by value."""
    return QueueCounts(*map(int, text.split()))


def _no_number(base: str) -> Unknown:
    """BullMQ's INCR fails on it."""
    return Unknown(
        UnknownReason.WRONG_TYPE,
        f"The key {base}id holds no number, so nothing can be added; look at it by hand.",
    )


def _failure(address: str, base: str, line: str) -> Unknown:
    queue = f"queue {base.rstrip(':')}"
    if "WRONGTYPE" in line:
        return Unknown(UnknownReason.WRONG_TYPE, wrong_type_message(queue))
    if any(mark in line for mark in ("NOPERM", "ACL failure", "permission")):
        return Unknown(
            UnknownReason.FORBIDDEN,
            f"Redis {address} forbids its user to read {queue}; extend the user's ACL.",
        )
    return Unknown(UnknownReason.UNREACHABLE, f"Redis {address} could not read {queue}.")
