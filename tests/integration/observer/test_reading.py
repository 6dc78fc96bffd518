"""What a look at Redis comes to, also when Redis is away, replaced, a replica or someone else's."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bullmq_operator.clock import Clock
from bullmq_operator.domain.counts import QueueCounts, QueueReading, Unknown, UnknownReason
from bullmq_operator.observer.backends import DefaultRedis
from devcluster import bullmq
from devcluster.redis_server import RedisServer
from tests.integration.observer.support import SPARE_S, Eyes, a_version

pytestmark = pytest.mark.redis


async def test_a_queue_that_nobody_used_is_known_to_have_no_job_counter(
    eyes: Eyes, redis_url: str
) -> None:
    seen = await eyes.look(a_version(redis_url))
    assert isinstance(seen.reading, QueueReading)
    assert (seen.reading.jobs_added, seen.reading.has_keys) == (None, False)


async def test_jobs_are_counted_and_their_age_is_told_from_one_look(
    eyes: Eyes, redis_url: str
) -> None:
    bullmq.run(redis_url, "orders/v1", ["addBulk", bullmq.jobs(3)])
    seen = await eyes.look(a_version(redis_url))
    assert isinstance(seen.reading, QueueReading)
    assert seen.reading.counts == QueueCounts(waiting=3)
    assert seen.idle_for is not None
    assert seen.idle_for > timedelta(0)


async def test_an_unreachable_redis_is_unknown_and_takes_no_other_along(
    eyes: Eyes, redis_server: RedisServer
) -> None:
    with RedisServer() as other:
        away, here = a_version(redis_server.url), a_version(other.url, "orders-v2")
        redis_server.kill()
        queues = [away.queue, here.queue]
        seen = await eyes.reader.read(queues, stamped=frozenset())
    assert isinstance(seen[here.queue].reading, QueueReading)
    unknown = seen[away.queue].reading
    assert isinstance(unknown, Unknown)
    assert unknown.reason is UnknownReason.UNREACHABLE


class WoundClock(Clock):
    """The machine's, put forward by hand."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


async def test_a_redis_that_the_poll_misses_counts_once_a_beat_whoever_names_it(
    redis_server: RedisServer,
) -> None:
    clock = WoundClock()
    eyes = Eyes(clock=clock)
    one, other = (a_version(redis_server.url, namespace=name) for name in ("shop", "bills"))
    redis_server.kill()
    for ahead_s in (0.0, SPARE_S):
        clock.ahead_s = ahead_s
        await eyes.look(one, insist=True)
        await eyes.look(other, insist=True)
        await eyes.look(one)  # a family's own look
    await eyes.backends.close()
    assert eyes.missed == 2


async def test_a_redis_found_away_is_spared_until_the_poll_sees_it_again(
    eyes: Eyes, redis_server: RedisServer
) -> None:
    version = a_version(redis_server.url)
    redis_server.kill()
    assert isinstance((await eyes.look(version)).reading, Unknown)
    redis_server.restart()
    assert isinstance((await eyes.look(version)).reading, Unknown)
    assert isinstance((await eyes.look(version, insist=True)).reading, QueueReading)
    assert isinstance((await eyes.look(version)).reading, QueueReading)


async def test_a_restarted_redis_starts_the_quiet_time_anew(
    eyes: Eyes, redis_server: RedisServer
) -> None:
    bullmq.run(redis_server.url, "orders/v1", ["addBulk", bullmq.jobs(1)])
    version = a_version(redis_server.url)
    before = await eyes.look(version)
    async with asyncio.timeout(10):
        while before.idle_for is None or before.idle_for < timedelta(seconds=1):
            before = await eyes.look(version)
            await asyncio.sleep(0.05)
    redis_server.shut_down()
    redis_server.restart()
    after = await eyes.look(version, insist=True)
    assert isinstance(after.reading, QueueReading)
    assert isinstance(before.reading, QueueReading)
    assert after.reading.stamp == before.reading.stamp
    assert after.idle_for == timedelta(0)


async def test_a_replica_s_counts_are_no_proof(eyes: Eyes, redis_server: RedisServer) -> None:
    follow = ("--replicaof", redis_server.host, str(redis_server.port))
    with RedisServer(settings=follow) as replica:
        seen = await eyes.look(a_version(replica.url))
    assert isinstance(seen.reading, Unknown)
    assert seen.reading.reason in (UnknownReason.READ_ONLY, UnknownReason.LOADING)


async def test_two_names_of_one_server_are_found_out(eyes: Eyes, redis_server: RedisServer) -> None:
    by_address = a_version(redis_server.url)
    by_name = a_version(redis_server.url.replace(redis_server.host, "localhost"), namespace="pay")
    for version in (by_address, by_name):
        eyes.cache.upsert_version(version)
        await eyes.look(version)
    assert eyes.cache.claimants(by_address) == (by_name.key,)
    assert {by_address.family, by_name.family} <= set(eyes.woken)


async def test_another_database_of_the_same_server_is_no_conflict(
    eyes: Eyes, redis_server: RedisServer
) -> None:
    versions = [a_version(f"{redis_server.url}/{db}", namespace=f"n{db}") for db in (0, 1)]
    for version in versions:
        eyes.cache.upsert_version(version)
        await eyes.look(version)
    assert eyes.cache.claimants(versions[0]) == ()


@pytest.mark.parametrize(
    ("default", "reason"),
    [
        pytest.param(DefaultRedis(), UnknownReason.NOT_CONFIGURED, id="there is none"),
        pytest.param(
            DefaultRedis(
                "redis://127.0.0.1:1", may_use=lambda namespace, queue: namespace == "pay"
            ),
            UnknownReason.NOT_ALLOWED,
            id="it is not open to this namespace",
        ),
    ],
)
async def test_without_a_right_to_the_default_redis_it_is_not_asked(
    default: DefaultRedis, reason: UnknownReason
) -> None:
    eyes = Eyes(default=default)
    seen = await eyes.look(a_version(None))
    assert isinstance(seen.reading, Unknown)
    assert seen.reading.reason is reason


async def test_a_url_that_is_none_is_told_and_not_tried(eyes: Eyes) -> None:
    seen = await eyes.look(a_version("http://redis"))
    assert isinstance(seen.reading, Unknown)
    assert seen.reading.reason is UnknownReason.BAD_URL


async def test_namespaces_that_mean_the_same_redis_share_a_connection(
    eyes: Eyes, redis_url: str
) -> None:
    first, second = (a_version(redis_url, namespace=n).queue for n in ("shop", "pay"))
    assert await eyes.backends.connection(first) is await eyes.backends.connection(second)
