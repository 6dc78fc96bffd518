"""One budget of writes per second for the whole process."""

from __future__ import annotations

import asyncio
from typing import Protocol


class MonotonicClock(Protocol):
    """Seconds that only go forward."""

    def monotonic(self) -> float:
        """Now."""


class WriteBudget:
    """A token bucket: `burst` writes at once, then `per_second` of them, in order of asking.

    A thousand families that change at once (a Redis comes back) must not flood the API server.
    """

    def __init__(self, clock: MonotonicClock, *, per_second: float = 400, burst: int = 100) -> None:
        self._clock = clock
        self._interval = 1 / per_second
        self._ahead = burst * self._interval
        self._next = clock.monotonic() - self._ahead

    def reserve(self) -> float:
        """Take one write; how many seconds it has to wait for its turn."""
        now = self._clock.monotonic()
        turn = max(self._next, now - self._ahead) + self._interval
        self._next = turn
        return max(turn - now, 0.0)

    async def take(self) -> None:
        """Wait for this write's turn."""
        wait = self.reserve()
        if wait > 0:
            await asyncio.sleep(wait)
