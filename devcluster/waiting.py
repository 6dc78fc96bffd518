"""Waiting for a condition with a deadline: the only kind of waiting there is here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from devcluster.errors import WaitTimeoutError

T = TypeVar("T")
INTERVAL = 0.05


def wait_until(
    probe: Callable[[], T | None],
    what: str,
    timeout: float = 30.0,
    *,
    interval: float = INTERVAL,
    describe: Callable[[], str] | None = None,
) -> T:
    """Call `probe` until it returns something true, and return that.

    Raises WaitTimeoutError that says what did not come, and what `describe` sees instead.
    """
    deadline = time.monotonic() + timeout
    while True:
        if result := probe():
            return result
        if time.monotonic() >= deadline:
            seen = f"; seen instead: {describe()}" if describe else ""
            raise WaitTimeoutError(f"not within {timeout:g} s: {what}{seen}")
        time.sleep(interval)
