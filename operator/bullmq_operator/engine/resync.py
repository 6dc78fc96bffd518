"""Now and then, everything is listed and looked at again: it heals whatever the watches missed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import TypeVar

from bullmq_operator.engine.workqueue import WorkQueue

K = TypeVar("K", bound=Hashable)

_JITTER = 0.1
"""Of the interval, so that replicas and other operators don't list at the same moment."""


async def resync_for_ever(
    list_all: Callable[[], Awaitable[Iterable[K]]],
    workqueue: WorkQueue[K],
    interval: float,
    fraction: Callable[[], float],
    failed: Callable[[Exception], None],
) -> None:
    """Every `interval` seconds: `list_all` brings the cache up to date (ghosts pruned) and names
    the keys; all of them are enqueued. A failure is told and left to the next round, since the
    watches still work."""
    while True:
        await asyncio.sleep(interval * (1 + _JITTER * fraction()))
        try:
            keys = await list_all()
        except Exception as error:  # no list is worth the process
            failed(error)
            continue
        for key in keys:
            workqueue.add(key)
