"""Between two beats: what happens in a draining queue is seen by its own event stream.

The beat here is once an hour, so whoever is woken was woken by a hint.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest

from bullmq_operator.domain.counts import QueueReading
from bullmq_operator.domain.observation import QueueVersion
from bullmq_operator.domain.status import Phase
from devcluster import bullmq
from devcluster.redis_server import RedisServer
from tests.integration.observer.support import Eyes, a_version, eventually

pytestmark = pytest.mark.redis

JOB = "the-last"


@pytest.fixture
def eyes() -> Eyes:
    return Eyes(interval=timedelta(hours=1))


@asynccontextmanager
async def listening(eyes: Eyes, *versions: QueueVersion) -> AsyncIterator[None]:
    """The hints at work, after one beat."""
    for version in versions:
        eyes.cache.upsert_version(version)
    tasks = [asyncio.create_task(loop) for loop in (eyes.poller.run(), eyes.hints.run())]
    await eventually(
        lambda: all(eyes.readings.last(v.queue) for v in versions), "every queue to be read"
    )
    try:
        yield
        assert [task for task in tasks if task.done()] == []
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await eyes.backends.close()


def on_queue(server: RedisServer, *step: object, queue: str = "orders/v1") -> None:
    bullmq.run(server.url, queue, list(step))


def add(server: RedisServer, job: str, queue: str = "orders/v1") -> None:
    on_queue(server, "add", "job", {}, {"jobId": job}, queue=queue)


def unfinished(eyes: Eyes, version: QueueVersion) -> int | None:
    reading = eyes.readings.entry(version.queue).reading
    return reading.counts.unfinished if isinstance(reading, QueueReading) else None


async def test_the_end_of_the_last_job_wakes_the_family_between_two_beats(
    eyes: Eyes, redis_server: RedisServer
) -> None:
    version = a_version(redis_server.url)
    await asyncio.to_thread(add, redis_server, JOB)
    async with listening(eyes, version):
        await asyncio.to_thread(on_queue, redis_server, "remove", JOB)
        await eyes.woken.until(version.family)


async def test_a_late_job_wakes_the_family_between_two_beats(
    eyes: Eyes, redis_server: RedisServer
) -> None:
    version = a_version(redis_server.url, phase=Phase.RETIRING)
    async with listening(eyes, version):
        await asyncio.to_thread(add, redis_server, JOB)
        await eyes.woken.until(version.family)


async def test_mere_numbers_of_a_busy_queue_wait_for_the_beat(
    eyes: Eyes, redis_server: RedisServer
) -> None:
    version = a_version(redis_server.url)
    await asyncio.to_thread(add, redis_server, "first")
    eyes.cache.upsert_version(version)
    await eyes.poller.beat([version.queue.backend])
    await asyncio.to_thread(add, redis_server, "second")
    await eyes.poller.look([version.queue])
    assert eyes.woken == []
    async with listening(eyes, version):
        await eyes.woken.until(version.family)


async def test_a_version_that_serves_is_not_listened_to(
    eyes: Eyes, redis_server: RedisServer
) -> None:
    serves = a_version(redis_server.url, phase=Phase.CURRENT)
    drains = a_version(redis_server.url, "orders-v2")
    async with listening(eyes, serves, drains):
        await asyncio.to_thread(add, redis_server, JOB, "orders/v1")
        await asyncio.to_thread(add, redis_server, JOB, "orders/v2")
        await eyes.woken.until(drains.family)
        assert (unfinished(eyes, serves), unfinished(eyes, drains)) == (0, 1)


async def test_where_redis_refuses_to_be_listened_to_the_poll_goes_on_and_the_others_are_heard(
    eyes: Eyes, redis_server: RedisServer
) -> None:
    with RedisServer() as silent:
        with silent.client() as client:
            client.acl_setuser("deaf", enabled=True, nopass=True, keys=["*"], categories=["+@all"])
            client.execute_command("ACL", "SETUSER", "deaf", "-xread")
        refused = a_version(silent.url.replace("redis://", "redis://deaf:x@"))
        heard = a_version(redis_server.url, "orders-v2")
        async with listening(eyes, refused, heard):
            await asyncio.to_thread(add, redis_server, JOB, "orders/v2")
            await eyes.woken.until(heard.family)
