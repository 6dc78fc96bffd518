"""What blockers' messages need beyond counts; read for the few queues that are draining."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

from bullmq_operator.domain.counts import QueueDetail
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.errors import translated
from bullmq_operator.queues.keys import queue_of

MOST: Final = 10
"""Names to list; a message with more helps nobody."""
DELAY_SCALE: Final = 0x1000
"""BullMQ scores a delayed job `due ms * 0x1000 + counter` (`commands/includes/getDelayedScore`)."""

_DIGEST: Final = re.compile(r"[0-9a-f]{32,128}")


async def read_detail(connection: RedisConnection, base: str) -> QueueDetail:
    """Due times, schedulers and waiting parents. Raises QueueReadError."""
    with translated(connection.address):
        async with connection.client.pipeline(transaction=False) as pipe:
            pipe.zrange(f"{base}delayed", 0, 0, withscores=True)
            pipe.zrange(f"{base}delayed", -1, -1, withscores=True)
            pipe.zrange(f"{base}repeat", 0, MOST - 1)
            pipe.zrange(f"{base}waiting-children", 0, MOST - 1)
            first, last, schedulers, parents = await pipe.execute()
        waiting = await _pending_children(connection.client, base, parents)
        named = await _named(connection.client, base, schedulers)
    return QueueDetail(
        next_delayed=_due(first),
        last_delayed=_due(last),
        schedulers=named,
        waiting_parents=waiting,
    )


def _due(scored: list[Any]) -> datetime | None:
    """None also for a score beyond any calendar (a delay of many thousand years)."""
    if not scored:
        return None
    try:
        return datetime.fromtimestamp(int(scored[0][1]) // DELAY_SCALE / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None


async def _named(client: Any, base: str, members: list[str]) -> tuple[str, ...]:
    """A job scheduler by its id. A repeatable by its key, which removes it; v5 keys are digests
    (`classes/repeat.js` hash), so the name of its jobs goes with it. v4 keys begin with that name.
    """
    digests = [member for member in members if _DIGEST.fullmatch(member)]
    if not digests:
        return tuple(members)
    async with client.pipeline(transaction=False) as pipe:
        for member in digests:
            pipe.hget(f"{base}repeat:{member}", "name")
        names = dict(zip(digests, await pipe.execute(), strict=True))
    return tuple(
        f"{names[member]} (key {member})" if names.get(member) else member for member in members
    )


async def _pending_children(
    client: Any, base: str, parents: list[str]
) -> tuple[tuple[str, str], ...]:
    """The smallest name of the first members: the same facts give the same text."""
    if not parents:
        return ()
    async with client.pipeline(transaction=False) as pipe:
        for parent in parents:
            pipe.sscan(f"{base}{parent}:dependencies", 0, count=100)
        scanned = await pipe.execute()
    return tuple(
        (parent, queue_of(min(members)))
        for parent, (_, members) in zip(parents, scanned, strict=True)
        if members
    )
