"""Passes: what comes of a good one, a bad one, and one that asks to come again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from bullmq_operator.engine.backoff import Backoff
from bullmq_operator.engine.reconciler import Reconcilers
from bullmq_operator.engine.workqueue import WorkQueue

PATIENCE = 5.0


@dataclass
class Told:
    """A journal that remembers."""

    succeeded_keys: list[str] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)

    def succeeded(self, key: str, seconds: float) -> None:
        assert seconds >= 0
        self.succeeded_keys.append(key)

    def failed(self, key: str, seconds: float, error: Exception, retry_in: float) -> None:
        assert retry_in > 0
        self.failures.append((key, str(error)))


@asynccontextmanager
async def running(
    reconcile: Callable[[str], Awaitable[float | None]], *keys: str
) -> AsyncIterator[Told]:
    queue = WorkQueue[str](lambda: 1.0, Backoff(lambda: 1.0, first=0.005, longest=0.01))
    told = Told()
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(Reconcilers(queue, reconcile, told, loop.time).run(2))
    for key in keys:
        queue.add(key)
    try:
        yield told
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  (told by nobody)
            await asyncio.sleep(0.001)


async def test_a_pass_that_raises_is_told_and_tried_again_until_it_succeeds() -> None:
    tries = iter([ValueError("first"), ValueError("second"), None])

    async def reconcile(_: str) -> None:
        if (error := next(tries)) is not None:
            raise error

    async with running(reconcile, "a") as told:
        await until(lambda: told.succeeded_keys == ["a"])
    assert told.failures == [("a", "first"), ("a", "second")]


async def test_a_failing_key_holds_up_no_other() -> None:
    async def reconcile(key: str) -> None:
        if key == "bad":
            raise ValueError

    async with running(reconcile, "bad", "good") as told:
        await until(lambda: "good" in told.succeeded_keys and len(told.failures) >= 3)


async def test_a_pass_that_names_a_time_is_followed_by_another() -> None:
    asked = iter([0.005, 0.0, None])

    async def reconcile(_: str) -> float | None:
        return next(asked)

    async with running(reconcile, "a") as told:
        await until(lambda: told.succeeded_keys == ["a", "a", "a"])
        await asyncio.sleep(0.02)
        assert told.succeeded_keys == ["a", "a", "a"], "None asks for no further pass"


async def test_keys_are_looked_at_side_by_side() -> None:
    both = asyncio.Barrier(2)

    async def reconcile(_: str) -> None:
        await both.wait()

    async with running(reconcile, "a", "b") as told:
        await until(lambda: sorted(told.succeeded_keys) == ["a", "b"])


@pytest.mark.parametrize("name", ["a"])
async def test_a_key_that_was_cancelled_in_its_pass_is_given_back(name: str) -> None:
    started = asyncio.Event()

    async def reconcile(_: str) -> None:
        started.set()
        await asyncio.Event().wait()

    queue = WorkQueue[str](lambda: 1.0)
    task = asyncio.create_task(Reconcilers(queue, reconcile, Told(), lambda: 0.0).run(1))
    queue.add(name)
    async with asyncio.timeout(PATIENCE):
        await started.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await queue.close()  # would wait for ever for a key that nobody gave back


async def test_a_pass_that_forgets_the_cancellation_is_the_last_one() -> None:
    """As redis-py on Python 3.11, whose asyncio.wait_for may lose it."""
    begun = asyncio.Event()

    async def forgetful(_: str) -> None:
        begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async with asyncio.timeout(PATIENCE):
        async with running(forgetful, "a"):
            await begun.wait()


async def test_a_pass_that_nobody_of_ours_cancelled_has_failed_and_is_tried_again() -> None:
    tries = iter([asyncio.CancelledError(), None])

    async def reconcile(_: str) -> None:
        if error := next(tries):
            raise error

    async with running(reconcile, "a") as told:
        await until(lambda: told.succeeded_keys == ["a"])
    assert told.failures == [("a", "the pass was cancelled")]
