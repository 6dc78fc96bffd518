"""A cancellation that got lost on the way is carried out all the same."""

from __future__ import annotations

import asyncio


def stop_if_cancelled() -> None:
    """Python 3.11's asyncio.wait_for, by which redis-py sends, forgets a cancellation that comes
    just as its inner task ends. Raises asyncio.CancelledError.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
