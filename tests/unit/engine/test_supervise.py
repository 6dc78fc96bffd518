"""A loop that ends is an end with a name."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from bullmq_operator.engine.supervise import LoopEndedError, Supervisor

PATIENCE = 5.0


async def for_ever() -> None:
    await asyncio.Event().wait()


async def breaks() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_raise())


async def _raise() -> None:
    raise ValueError("bad luck")


async def returns() -> None:
    pass


async def first_end(supervisor: Supervisor) -> LoopEndedError:
    async with asyncio.timeout(PATIENCE):
        return await supervisor.ended


async def test_a_loop_that_raises_in_one_of_its_tasks_is_named_with_the_cause() -> None:
    supervisor = Supervisor()
    supervisor.start({"poll": breaks(), "other": for_ever()})
    assert str(await first_end(supervisor)) == "the poll ended, ValueError: bad luck"
    assert not supervisor.alive
    await supervisor.stop()


async def test_a_loop_that_returns_is_an_end_too() -> None:
    supervisor = Supervisor()
    supervisor.start({"resync": returns()})
    assert str(await first_end(supervisor)) == "the resync ended, without a reason"
    await supervisor.stop()


async def test_stopped_loops_are_gone_and_are_no_unexpected_end() -> None:
    supervisor = Supervisor()
    supervisor.start({"a": for_ever(), "b": for_ever()})
    await asyncio.sleep(0)
    assert supervisor.alive
    await supervisor.stop()
    assert not supervisor.ended.done()
    assert {task.get_name() for task in asyncio.all_tasks()}.isdisjoint({"a", "b"})


@pytest.mark.parametrize("loops", [1, 2])
async def test_only_the_first_end_is_kept(loops: int) -> None:
    supervisor = Supervisor()
    supervisor.start({f"loop-{number}": breaks() for number in range(loops)})
    assert "loop-0" in str(await first_end(supervisor))
    await supervisor.stop()


async def test_a_loop_that_heeds_no_cancellation_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bullmq_operator.engine.supervise.STOP_SECONDS", 0.01)
    over = asyncio.Event()

    async def stubborn() -> None:
        while not over.is_set():
            with suppress(asyncio.CancelledError):
                await over.wait()

    supervisor = Supervisor()
    supervisor.start({"stubborn": stubborn()})
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE):
        await supervisor.stop()
    over.set()


async def test_a_loop_that_somebody_else_cancels_is_an_end_too() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    supervisor = Supervisor()
    supervisor.start({"poll": cancelled()})
    assert str(await first_end(supervisor)) == "the poll ended, without a reason"
    await supervisor.stop()
