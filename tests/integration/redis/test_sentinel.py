"""A master behind Sentinel: it moves, and what was proven on the one before counts no more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from bullmq_operator.domain.counts import QueueReading, Unknown, UnknownReason
from bullmq_operator.domain.names import RedisSource, SecretKeyRef, Sentinel
from bullmq_operator.observer.readings import Seen
from bullmq_operator.queues.clients import ClientTable, list_clients
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.counts import read_queue
from bullmq_operator.queues.errors import QueueReadError
from bullmq_operator.queues.inventory import take_inventory
from bullmq_operator.queues.retirement import retire_queue
from devcluster.redis_sentinel import NAME, RedisSentinel
from devcluster.redis_server import RedisServer
from tests.integration.observer.support import Eyes, a_version
from tests.integration.queues.support import Shop
from tests.integration.redis.conftest import Connect

pytestmark = pytest.mark.redis

PASSWORD, SENTINELS_PASSWORD = "s3cret", "an0ther"


class Secrets:
    """As Kubernetes would hold them."""

    async def read_secret_key(self, namespace: str, ref: SecretKeyRef) -> str:
        return {"redis": PASSWORD, "sentinel": SENTINELS_PASSWORD}[ref.name]


@pytest.fixture(scope="module")
def sentinel() -> Iterator[RedisSentinel]:
    """One master, one replica, three sentinels, each kind with its password."""
    with RedisSentinel(password=PASSWORD, sentinel_password=SENTINELS_PASSWORD) as started:
        yield started


def settings(sentinel: RedisSentinel, **over: Any) -> dict[str, Any]:
    """To reach it."""
    return {
        "sentinel_master": NAME,
        "sentinel_nodes": sentinel.nodes,
        "sentinel_password": SENTINELS_PASSWORD,
        "password": PASSWORD,
    } | over


@pytest.fixture
def connection(sentinel: RedisSentinel, connected: Connect) -> RedisConnection:
    """The operator's own."""
    return connected(**settings(sentinel))


@pytest.fixture
def shop(sentinel: RedisSentinel, request: pytest.FixtureRequest) -> Iterator[Shop]:
    """A queue of the test's own on the master of now."""
    with sentinel.master().client() as raw:
        url = sentinel.bullmq_url
        yield Shop(url, raw, name=request.node.name)


@pytest.fixture
def source(sentinel: RedisSentinel) -> RedisSource:
    """`spec.redis` of it."""
    found = Sentinel(NAME, sentinel.nodes, password_from=SecretKeyRef("sentinel", "password"))
    return RedisSource(sentinel=found, password_from=SecretKeyRef("redis", "password"))


async def settled(eyes: Eyes, version: Any) -> Seen:
    """The first reading that is known again, with all Unknown ones before it looked at."""
    async with asyncio.timeout(60):
        while isinstance((seen := await eyes.look(version, insist=True)).reading, Unknown):
            assert seen.reading.reason is UnknownReason.UNREACHABLE, seen.reading.message
            await asyncio.sleep(0.05)
    return seen


async def test_a_queue_is_read_and_retired_and_its_workers_are_seen(
    shop: Shop, connection: RedisConnection
) -> None:
    shop.finish(3)
    with shop.worker():
        clients = await list_clients(connection)
        assert isinstance(clients, ClientTable)
        assert clients.attached("bull", shop.name)
    inventory = await take_inventory(connection, shop.queue)
    outcome = await retire_queue(connection, shop.queue, inventory, inventory.stamp)
    assert (outcome.obliterated_jobs, outcome.closed) == (3, True)
    assert shop.keys() == set()


@pytest.mark.parametrize(
    ("over", "reason", "says"),
    [
        pytest.param(
            {"sentinel_master": "other"},
            UnknownReason.BAD_URL,
            'know no master "other"; correct spec.redis.sentinel.masterName',
            id="another master's name",
        ),
        pytest.param(
            {"sentinel_password": "wr0ng"},
            UnknownReason.WRONG_PASSWORD,
            "correct what spec.redis.sentinel.passwordFrom names",
            id="a wrong password for the sentinels",
        ),
        pytest.param(
            {"password": "wr0ng"},
            UnknownReason.WRONG_PASSWORD,
            "correct what spec.redis.usernameFrom, passwordFrom or urlFrom names",
            id="a wrong password for the master",
        ),
        pytest.param(
            {"sentinel_nodes": ("127.0.0.1:1", "127.0.0.1:2")},
            UnknownReason.UNREACHABLE,
            "nothing listens there",
            id="no sentinel",
        ),
    ],
)
async def test_what_is_wrong_is_told_with_its_field(
    sentinel: RedisSentinel,
    connected: Connect,
    over: dict[str, Any],
    reason: UnknownReason,
    says: str,
) -> None:
    connection = connected(**settings(sentinel, **over))
    with pytest.raises(QueueReadError) as caught:
        await read_queue(connection, "bull:orders:")
    assert caught.value.reason is reason
    assert says in caught.value.message
    assert not [word for word in ("wr0ng", PASSWORD) if word in caught.value.message]


async def test_a_dead_sentinel_among_living_ones_is_passed_over(
    sentinel: RedisSentinel, connected: Connect
) -> None:
    nodes = ("127.0.0.1:1", *sentinel.nodes[1:])
    connection = connected(**settings(sentinel, sentinel_nodes=nodes))
    assert isinstance(await read_queue(connection, "bull:orders:"), QueueReading)


async def test_a_sentinel_that_hangs_costs_its_timeout_once(
    sentinel: RedisSentinel, connected: Connect
) -> None:
    patience = 3.0
    connection = connected(**settings(sentinel, timeout=patience))
    clock = asyncio.get_running_loop().time
    with sentinel.silenced(0):
        await read_queue(connection, "bull:orders:")
        began = clock()
        await connection.server()
        assert clock() - began < patience


@pytest.mark.parametrize("paused", [pytest.param(False, id="dies"), pytest.param(True, id="hangs")])
async def test_a_failover_during_a_drain_keeps_the_jobs_and_starts_the_proof_anew(
    sentinel: RedisSentinel, shop: Shop, source: RedisSource, paused: bool
) -> None:
    eyes = Eyes(secrets=Secrets())
    version = a_version(None, redis=source)
    orders = shop.other("orders/v1")
    orders.run(["add", "job", {}], ["process", 1], ["add", "last", {}])
    try:
        before = await eyes.look(version)
        sentinel.wait_synced()
        lost = sentinel.lose_master(paused=paused)
        after = await settled(eyes, version)
        assert isinstance(before.reading, QueueReading)
        assert isinstance(after.reading, QueueReading)
        assert after.reading.counts == before.reading.counts
        assert after.idle_for == timedelta(0)
    finally:
        await eyes.backends.close()
        sentinel.take_back(lost)
        orders.run(["obliterate", {"force": True}])


async def test_a_failover_during_an_obliterate_converges_with_the_late_job_kept(
    sentinel: RedisSentinel, shop: Shop, connection: RedisConnection
) -> None:
    shop.finish(300)
    sentinel.wait_synced()
    inventory = await take_inventory(connection, shop.queue)

    lost: list[RedisServer] = []

    def fail_over(_: object) -> None:
        if not lost:  # after the first slice; what it deleted may or may not have been replicated
            lost.append(sentinel.lose_master())

    with pytest.raises(QueueReadError):
        await retire_queue(connection, shop.queue, inventory, inventory.stamp, fail_over)
    sentinel.take_back(lost[0])
    shop.add("late")
    again = await take_inventory(connection, shop.queue)
    refused = await retire_queue(connection, shop.queue, again, again.stamp)
    assert (refused.closed, refused.stopped_by) == (False, "LateJob")
    shop.run(["process", 1])
    last = await take_inventory(connection, shop.queue)
    outcome = await retire_queue(connection, shop.queue, last, last.stamp)
    assert outcome.closed
    assert not (await read_queue(connection, shop.base)).has_keys


async def test_an_old_master_that_only_the_sentinels_have_lost_is_not_believed(
    sentinel: RedisSentinel, shop: Shop, connection: RedisConnection
) -> None:
    assert not (await read_queue(connection, shop.base)).counts.unfinished
    await connection.server()
    lost = sentinel.lose_master(paused=True)
    try:
        shop.run(["add", "job", {}])  # on the new one
        lost.resume()  # it answers again over the connections of before; nobody has told it yet
        assert not (await read_queue(connection, shop.base)).counts.unfinished
        with pytest.raises(QueueReadError, match="failed over from"):
            await connection.server()
        assert (await read_queue(connection, shop.base)).counts.unfinished == 1
    finally:
        sentinel.take_back(lost)
