"""Waiting for something to happen in queues, instead of asking again and again.

Whatever BullMQ does to a job it writes to the queue's events stream (`XADD` in `lib/scripts/*`),
so one blocked XREAD tells of many queues. A hint and no proof: the stream may be trimmed, absent,
or not be written by what somebody does by hand. Counts are what is believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bullmq_operator.queues.connection import SOCKET_SECONDS, RedisConnection
from bullmq_operator.queues.errors import translated

MAX_STREAMS: Final = 200
"""Streams in one call: each is looked up at its start and its end."""
LONGEST_SECONDS: Final = SOCKET_SECONDS / 2
"""A call that blocks must return before its socket is taken for dead."""

_BEGINNING: Final = "0-0"


async def wait_for_activity(
    connection: RedisConnection, stamps: Mapping[str, str | None], seconds: float
) -> frozenset[str]:
    """The bases in whose queues something happened since their stamp; empty after `seconds`.

    `stamps`: at most MAX_STREAMS bases, each with the stamp of its last reading (None: there was
    no stream). Not for a Redis Cluster, where one XREAD can't name keys of several slots. Raises
    QueueReadError.
    """
    streams = {f"{base}events": stamp or _BEGINNING for base, stamp in stamps.items()}
    milliseconds = max(1, round(min(seconds, LONGEST_SECONDS) * 1000))
    with translated(connection.address):
        answer = await connection.client.xread(streams, count=1, block=milliseconds)
    names = answer if isinstance(answer, dict) else [name for name, _ in answer]
    return frozenset(name.removesuffix("events") for name in names)
