"""Each key once, one at a time, nothing lost. The loop's time is real, in milliseconds."""

from __future__ import annotations

import asyncio

import pytest

from bullmq_operator.engine.backoff import Backoff
from bullmq_operator.engine.workqueue import WorkQueue

SOON = 0.02
PATIENCE = 5.0


@pytest.fixture
async def queue() -> WorkQueue[str]:
    """Backs off for SOON at first."""
    return WorkQueue[str](lambda: 1.0, Backoff(lambda: 1.0, first=SOON, longest=1.0))


async def take(queue: WorkQueue[str]) -> str:
    async with asyncio.timeout(PATIENCE):
        return await queue.get()


async def nothing_comes(queue: WorkQueue[str]) -> bool:
    """Whether the loop goes idle without anybody getting a key."""
    waiting = asyncio.create_task(queue.get())
    done, _ = await asyncio.wait([waiting], timeout=3 * SOON)
    waiting.cancel()
    return not done


async def test_keys_come_in_the_order_of_their_first_add(queue: WorkQueue[str]) -> None:
    for key in ("b", "a", "b", "c", "a"):
        queue.add(key)
    assert [await take(queue) for _ in range(len(queue))] == ["b", "a", "c"]


async def test_a_key_in_work_is_given_to_nobody_else(queue: WorkQueue[str]) -> None:
    queue.add("a")
    assert await take(queue) == "a"
    queue.add("a")
    assert await nothing_comes(queue)


async def test_what_is_added_during_its_pass_comes_once_more_after_it(
    queue: WorkQueue[str],
) -> None:
    queue.add("a")
    await take(queue)
    queue.add("a")
    queue.add("a")
    queue.done("a")
    assert await take(queue) == "a"
    queue.done("a")
    assert await nothing_comes(queue)


async def test_a_delayed_key_comes_when_it_is_due(queue: WorkQueue[str]) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    queue.add_after("a", SOON)
    assert len(queue) == 0
    assert await take(queue) == "a"
    assert loop.time() - began >= SOON * 0.9


@pytest.mark.parametrize(
    "delays", [(60.0, SOON), (SOON, 60.0)], ids=["later first", "sooner first"]
)
async def test_of_two_delays_the_sooner_one_stands(
    queue: WorkQueue[str], delays: tuple[float, float]
) -> None:
    for delay in delays:
        queue.add_after("a", delay)
    assert await take(queue) == "a"


async def test_a_look_now_takes_the_place_of_a_later_one(queue: WorkQueue[str]) -> None:
    queue.add_after("a", SOON)
    queue.add("a")
    assert await take(queue) == "a"
    queue.done("a")
    assert await nothing_comes(queue)


async def test_a_failed_key_comes_back_later_each_time(queue: WorkQueue[str]) -> None:
    assert [queue.add_failed("a"), queue.add_failed("a")] == [SOON, 2 * SOON]
    assert await take(queue) == "a"
    queue.forget("a")
    assert queue.add_failed("a") == SOON


async def test_every_waiting_taker_gets_a_key_of_its_own(queue: WorkQueue[str]) -> None:
    takers = [asyncio.create_task(take(queue)) for _ in range(3)]
    await asyncio.sleep(0)
    for key in ("a", "b", "c"):
        queue.add(key)
    assert sorted(await asyncio.gather(*takers)) == ["a", "b", "c"]


async def test_closing_waits_for_the_passes_and_gives_out_no_more(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await take(queue)
    queue.add("b")
    queue.add_after("c", SOON)
    closing = asyncio.create_task(queue.close())
    await asyncio.sleep(0)
    assert not closing.done()
    queue.done("a")
    async with asyncio.timeout(PATIENCE):
        await closing
    assert await nothing_comes(queue)


async def test_thousands_of_adds_from_many_sides_lose_no_last_change(
    queue: WorkQueue[str],
) -> None:
    """The last value written before an add is always seen by a pass that starts after it."""
    written = dict.fromkeys("abcde", 0)
    seen = dict.fromkeys("abcde", 0)
    working: set[str] = set()

    async def reconcile() -> None:
        while True:
            key = await queue.get()
            assert key not in working, "two passes over one key"
            working.add(key)
            value = written[key]
            await asyncio.sleep(0)
            seen[key] = value
            working.discard(key)
            queue.done(key)

    async def write() -> None:
        for number in range(2000):
            key = "abcde"[number % 5]
            written[key] += 1
            queue.add(key)
            if number % 7 == 0:
                await asyncio.sleep(0)

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        reconcilers = [group.create_task(reconcile()) for _ in range(3)]
        await asyncio.gather(write(), write())
        while seen != written:  # noqa: ASYNC110  (told by nobody)
            await asyncio.sleep(0.001)
        for reconciler in reconcilers:
            reconciler.cancel()
