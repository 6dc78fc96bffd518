"""Reconcilers: coroutines that take keys from the workqueue and have each looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, Protocol, TypeVar

from bullmq_operator.engine.workqueue import WorkQueue
from bullmq_operator.queues.cancelling import stop_if_cancelled

K = TypeVar("K", bound=Hashable)
K_contra = TypeVar("K_contra", contravariant=True)


class Journal(Protocol[K_contra]):
    """Who is told how passes went."""

    def succeeded(self, key: K_contra, seconds: float) -> None:
        """A pass over the key took so long."""

    def failed(self, key: K_contra, seconds: float, error: Exception, retry_in: float) -> None:
        """A pass over the key raised; it is tried again after `retry_in` seconds."""


class Reconcilers(Generic[K]):
    """A few passes at a time, each over another key."""

    def __init__(
        self,
        workqueue: WorkQueue[K],
        reconcile: Callable[[K], Awaitable[float | None]],
        journal: Journal[K],
        monotonic: Callable[[], float],
    ) -> None:
        self._workqueue = workqueue
        self._reconcile = reconcile
        self._journal = journal
        self._monotonic = monotonic

    async def run(self, count: int) -> None:
        """Never returns; an error that is no Exception (and cancellation) ends it."""
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(self._take_keys(), name=f"reconciler-{number}")

    async def _take_keys(self) -> None:
        while True:
            key = await self._workqueue.get()
            try:
                await self._pass(key)
            finally:
                self._workqueue.done(key)
            stop_if_cancelled()

    async def _pass(self, key: K) -> None:
        began = self._monotonic()
        try:
            look_again_in = await self._reconcile(key)
        except Exception as error:  # one bad family must not stop the others
            self._failed(key, began, error)
            return
        except asyncio.CancelledError:
            stop_if_cancelled()
            # By nobody of ours: a task that ends like that would be missed by no one.
            self._failed(key, began, RuntimeError("the pass was cancelled"))
            return
        self._workqueue.forget(key)
        self._journal.succeeded(key, self._monotonic() - began)
        if look_again_in is not None:
            self._workqueue.add_after(key, look_again_in)

    def _failed(self, key: K, began: float, error: Exception) -> None:
        retry_in = self._workqueue.add_failed(key)
        self._journal.failed(key, self._monotonic() - began, error, retry_in)
