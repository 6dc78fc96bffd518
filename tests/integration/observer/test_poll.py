"""The beat: who is woken by what happens in a real queue."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bullmq_operator.domain.counts import QueueReading, Unknown
from bullmq_operator.domain.observation import QueueVersion
from bullmq_operator.domain.reasons import HeldReason
from bullmq_operator.domain.status import (
    Condition,
    ConditionStatus,
    ConditionType,
    Phase,
    Status,
)
from bullmq_operator.observer.readings import Seen
from devcluster import bullmq
from devcluster.redis_server import RedisServer
from tests.integration.observer.support import Eyes, a_version, eventually

pytestmark = pytest.mark.redis

SOME_TIME = datetime(2026, 9, 1, tzinfo=UTC)
NOBODY_WORKS = Status(
    phase=Phase.HELD,
    queue_first_seen_at=SOME_TIME,
    conditions=(
        Condition(
            ConditionType.HELD, ConditionStatus.TRUE, HeldReason.NO_WORKER_ATTACHED, "", SOME_TIME
        ),
    ),
)


@asynccontextmanager
async def polling(eyes: Eyes, *versions: QueueVersion) -> AsyncIterator[None]:
    """The poll, once it has read every queue."""
    for version in versions:
        eyes.cache.upsert_version(version)
    task = asyncio.create_task(eyes.poller.run())
    await eventually(
        lambda: all(eyes.readings.last(v.queue) for v in versions), "every queue to be read"
    )
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def waiting(eyes: Eyes, version: QueueVersion) -> int | None:
    seen = eyes.readings.last(version.queue)
    if seen is None or isinstance(seen.reading, Unknown):
        return None
    return seen.reading.counts.waiting


def add(url: str, queue: str = "orders/v1", count: int = 1) -> None:
    bullmq.run(url, queue, ["addBulk", bullmq.jobs(count)])


async def test_every_job_added_to_a_draining_version_wakes_its_family(
    eyes: Eyes, redis_url: str
) -> None:
    version = a_version(redis_url)
    add(redis_url)
    async with polling(eyes, version):
        assert eyes.woken == []
        await asyncio.to_thread(add, redis_url)
        await eyes.woken.until(version.family)


async def test_more_of_the_same_does_not_wake_a_current_version_again(
    eyes: Eyes, redis_url: str
) -> None:
    current = replace(a_version(redis_url), status=Status(phase=Phase.CURRENT))
    async with polling(eyes, current):
        await asyncio.to_thread(add, redis_url)
        await eyes.woken.until(current.family)
        eyes.woken.clear()
        await asyncio.to_thread(add, redis_url, count=4)
        await eventually(lambda: waiting(eyes, current) == 5, "five waiting jobs to be read")
        assert eyes.woken == []


async def test_a_queue_in_which_nothing_happens_is_read_afresh_all_the_time(
    eyes: Eyes, redis_url: str
) -> None:
    version = a_version(redis_url)
    add(redis_url)

    def seen() -> Seen:
        last = eyes.readings.last(version.queue)
        assert last is not None
        return last

    async with polling(eyes, version):
        first = seen()
        await eventually(lambda: seen().at > first.at, "the next reading")
        later = seen()
    assert isinstance(first.reading, QueueReading)
    assert isinstance(later.reading, QueueReading)
    assert replace(later.reading, redis_time=None) == replace(first.reading, redis_time=None)
    assert later.idle_for is not None
    assert first.idle_for is not None
    assert later.idle_for > first.idle_for


async def test_the_beat_goes_by_what_a_version_is_now(eyes: Eyes, redis_url: str) -> None:
    """Current, it would not be woken again within the minute."""
    current = replace(a_version(redis_url), status=Status(phase=Phase.CURRENT))
    async with polling(eyes, current):
        await asyncio.to_thread(add, redis_url)
        await eyes.woken.until(current.family)
        eyes.woken.clear()
        draining = replace(
            current, status=Status(phase=Phase.DRAINING), resource_version="2", generation=2
        )
        eyes.cache.upsert_version(draining)
        await asyncio.to_thread(add, redis_url)
        await eyes.woken.until(current.family)


async def test_a_redis_that_goes_and_comes_back_wakes_twice_and_holds_up_no_other(
    eyes: Eyes, redis_server: RedisServer
) -> None:
    with RedisServer() as other:
        gone, here = a_version(redis_server.url), a_version(other.url, "orders-v2")
        async with polling(eyes, gone, here):
            redis_server.kill()
            await eyes.woken.until(gone.family)
            await asyncio.to_thread(add, other.url, "orders/v2", 2)
            await eyes.woken.until(here.family)
            eyes.woken.clear()
            redis_server.restart()
            await eyes.woken.until(gone.family)
            seen = eyes.readings.last(gone.queue)
            assert seen is not None
            assert isinstance(seen.reading, QueueReading)


async def test_a_maxmemory_policy_that_somebody_sets_wakes_whoever_is_on_that_redis(
    eyes: Eyes, redis_server: RedisServer
) -> None:
    current = replace(a_version(redis_server.url), status=Status(phase=Phase.CURRENT))
    async with polling(eyes, current):
        await eyes.a_few_beats()
        assert eyes.woken == []
        with redis_server.client() as admin:
            admin.config_set("maxmemory-policy", "allkeys-lru")
        await eyes.woken.until(current.family)


async def test_a_frozen_redis_does_not_stop_the_others_beats(
    eyes: Eyes, redis_server: RedisServer
) -> None:
    with RedisServer() as other:
        frozen, here = a_version(redis_server.url), a_version(other.url, "orders-v2")
        async with polling(eyes, frozen, here):
            redis_server.pause()
            try:
                await asyncio.to_thread(add, other.url, "orders/v2")
                await eyes.woken.until(here.family)
            finally:
                redis_server.resume()


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(Status(phase=Phase.PENDING), id="to be activated"),
        pytest.param(Status(phase=Phase.DRAINING), id="to be seen in this Redis at all"),
        pytest.param(NOBODY_WORKS, id="to have its jobs done"),
    ],
)
async def test_a_worker_that_attaches_wakes_whoever_waits_for_it_once(
    eyes: Eyes, redis_server: RedisServer, status: Status
) -> None:
    version = replace(a_version(redis_server.url), status=status)
    name = base64.b64encode(b"orders/v1").decode()
    async with polling(eyes, version):
        assert eyes.woken == []
        with redis_server.client() as worker:
            worker.client_setname(f"bull:{name}")  # as BullMQ names a worker's connection
            await eyes.woken.until(version.family)
            await eyes.a_few_beats()
            assert eyes.woken.count(version.family) == 1
