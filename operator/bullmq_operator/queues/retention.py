"""Keeps the finished jobs of a queue that lives within its limits.

BullMQ has `removeOnComplete` and `removeOnFail`, but each producer sets them for its own jobs, and
one that forgot fills Redis. What is removed, and what goes along with it, is as in BullMQ's
`Queue.clean` (`commands/cleanJobsInSet-3.lua`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bullmq_operator.domain.names import QueueId
from bullmq_operator.domain.spec import Keep
from bullmq_operator.queues import scripts
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.retirement import FIRST_SLICE, next_size

MOST_AT_ONCE: Final = 20_000
"""Jobs looked at in one pass; a long arrears is worked off in several."""

_PRUNE: Final = scripts.load("prune")


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one pass did to the completed or the failed jobs of a queue."""

    removed: int = 0
    kept: int = 0
    """Failed jobs that are due, but that a parent still waits for."""
    bytes_freed: int = 0
    """An estimate: one job's hash is measured in each call. 0 where Redis does not tell."""
    is_done: bool = True
    """False: more jobs are due than one pass may look at."""


async def prune(connection: RedisConnection, queue: QueueId, state: str, keep: Keep) -> Pruned:
    """Remove what is due, in calls of about a millisecond; `state` is `completed` or `failed`.

    Raises QueueReadError; what was removed until then was due. May be repeated at any time.
    """
    age = "" if keep.age is None else int(keep.age.total_seconds() * 1000)
    count = "" if keep.count is None else keep.count
    removed = kept = freed = 0
    size = FIRST_SLICE
    while removed + kept < MOST_AT_ONCE:
        words = (state, age, count, kept, size)
        gone, stayed, one, took = await scripts.run(connection, _PRUNE, queue.base, words)
        removed, kept, freed = removed + gone, kept + stayed, freed + one * gone
        if gone + stayed < size:
            return Pruned(removed, kept, freed)
        size = next_size(size, gone + stayed, took)
    # With nothing removed, another pass would look at the same kept ones again.
    return Pruned(removed, kept, freed, is_done=removed == 0)
