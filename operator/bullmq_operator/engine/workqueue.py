"""The workqueue: what must be looked at, each key once, never two at a time.

The three sets and their invariants are client-go's (util/workqueue/queue.go): `_waiting` holds what
nobody works on, `_working` what somebody does, `_again` what was added meanwhile. So a change that
comes in during a pass is never lost, and a thousand changes are one more pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from bullmq_operator.engine.backoff import Backoff

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Deduplicated keys in the order of their first add."""

    def __init__(self, fraction: Callable[[], float], backoff: Backoff[K] | None = None) -> None:
        self._backoff = backoff or Backoff[K](fraction)
        self._waiting: dict[K, None] = {}
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    def __len__(self) -> int:
        """How many keys wait for somebody to take them; delayed ones are not counted."""
        return len(self._waiting) + len(self._again)

    def add(self, key: K) -> None:
        """Look at it soon; takes the place of any later look that was agreed on."""
        self._cancel_timer(key)
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = None
            self._arrived.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Look at it then, or earlier: of two looks agreed on, the earlier one stands."""
        if seconds <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        timer = self._timers.get(key)
        if timer is not None and timer.when() <= due:
            return
        self._cancel_timer(key)
        self._timers[key] = loop.call_at(due, self.add, key)

    def add_failed(self, key: K) -> float:
        """Look at it again after its back-off; returns the seconds."""
        seconds = self._backoff.failed(key)
        self.add_after(key, seconds)
        return seconds

    async def get(self) -> K:
        """The next key, for this caller alone until it calls `done`."""
        while not self._waiting or self._closed:
            self._arrived.clear()
            await self._arrived.wait()
        key = next(iter(self._waiting))
        del self._waiting[key]
        self._working.add(key)
        self._idle.clear()
        return key

    def done(self, key: K) -> None:
        """The pass over a key is over: what was added meanwhile may be taken now."""
        self._working.discard(key)
        if not self._working:
            self._idle.set()
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def forget(self, key: K) -> None:
        """Its last pass went well, or it is gone: the next failure is a first one."""
        self._backoff.forget(key)

    async def close(self) -> None:
        """Give out no more keys, and wait until every key that was taken is done."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        await self._idle.wait()

    def _cancel_timer(self, key: K) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
