"""No orphan tasks: a loop that ends, for whatever reason, ends the process with one line."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

import structlog

STOP_TRIES = 3
STOP_SECONDS = 1.0

_log = structlog.stdlib.get_logger(__name__)


class LoopEndedError(Exception):
    """A loop that should run for ever returned or raised; names it, and chains the cause."""

    def __init__(self, name: str, cause: BaseException | None) -> None:
        why = f"{type(cause).__name__}: {cause}" if cause is not None else "without a reason"
        super().__init__(f"the {name} ended, {why}")
        self.__cause__ = cause


async def _for_ever(name: str, loop: Coroutine[Any, Any, None]) -> None:
    try:
        await loop
    except Exception as error:
        raise LoopEndedError(name, _innermost(error)) from error
    raise LoopEndedError(name, None)


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class Supervisor:
    """Loops by name, and the first end of one of them."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping = False
        self.ended: asyncio.Future[LoopEndedError] = asyncio.get_running_loop().create_future()

    def start(self, loops: Mapping[str, Coroutine[Any, Any, None]]) -> None:
        """Run them until `stop`."""
        for name, loop in loops.items():
            task = asyncio.create_task(_for_ever(name, loop), name=name)
            task.add_done_callback(self._note_end)
            self._tasks[name] = task

    @property
    def alive(self) -> bool:
        """Whether every loop still runs."""
        return all(not task.done() for task in self._tasks.values())

    async def stop(self) -> None:
        """Cancel them all and wait until they are gone, but not for ever: what heeds no
        cancellation ends with the process."""
        self._stopping, left = True, set(self._tasks.values())
        for _ in range(STOP_TRIES):
            for task in left:
                task.cancel()
            if left:
                _, left = await asyncio.wait(left, timeout=STOP_SECONDS)
        for task in left:
            _log.warning("a loop does not end; the process goes without it", loop=task.get_name())

    def _note_end(self, task: asyncio.Task[None]) -> None:
        if self._stopping:
            return
        error = LoopEndedError(task.get_name(), None) if task.cancelled() else task.exception()
        if isinstance(error, LoopEndedError) and not self.ended.done():
            self.ended.set_result(error)
