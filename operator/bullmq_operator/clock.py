"""The only place that reads wall time or randomness; everything else is handed a `Clock`."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime


class Clock:
    """The machine's clocks and its dice. Tests hand in their own."""

    def now(self) -> datetime:
        """Wall time in UTC: for what people and other machines read, never to measure spans."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that only go forward, from an arbitrary start: for spans and deadlines."""
        return time.monotonic()

    def fraction(self) -> float:
        """A random number in [0, 1): jitter, nothing secret."""
        return random.random()  # noqa: S311
