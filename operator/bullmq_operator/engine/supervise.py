"""No orphan tasks: a loop that ends, for whatever reason, ends the process with one line."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any


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
        """Cancel them all and wait until they are gone."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, LoopEndedError) and not self.ended.done():
            self.ended.set_result(error)
