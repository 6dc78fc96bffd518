"""How long a key waits after a failure."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 60.0
_DOUBLINGS = 10
"""Enough to reach any LONGEST_SECONDS; more would only make big numbers."""


class Backoff(Generic[K]):
    """Doubling delays per key, with jitter, so that keys that failed together part ways."""

    def __init__(
        self,
        fraction: Callable[[], float],
        first: float = FIRST_SECONDS,
        longest: float = LONGEST_SECONDS,
    ) -> None:
        self._fraction = fraction
        self._first = first
        self._longest = longest
        self._failures: dict[K, int] = {}

    def failed(self, key: K) -> float:
        """Seconds until the next try: between half of the step and the whole of it."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        step = min(self._first * 2.0 ** min(failures, _DOUBLINGS), self._longest)
        return step * (0.5 + self._fraction() / 2)

    def forget(self, key: K) -> None:
        """The key succeeded, or is gone: its next failure is a first one."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """How often in a row it failed."""
        return self._failures.get(key, 0)
