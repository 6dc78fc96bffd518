"""A Redis Cluster of three masters: whichever node a queue is on, on its way or lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from redis import RedisCluster as Raw

from bullmq_operator.domain.counts import (
    Inventory,
    QueueReading,
    RetirementOutcome,
    Unknown,
    UnknownReason,
)
from bullmq_operator.domain.names import RedisSource
from bullmq_operator.observer.backends import DefaultRedis
from bullmq_operator.queues.clients import ClientTable, list_clients
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.counts import read_queue, read_queues
from bullmq_operator.queues.detail import read_detail
from bullmq_operator.queues.errors import QueueReadError
from bullmq_operator.queues.inventory import take_inventory
from bullmq_operator.queues.retirement import restore_settings, retire_queue, sweep_recreated
from devcluster.bullmq import Major
from devcluster.redis_cluster import RedisCluster
from devcluster.redis_server import RedisServer
from devcluster.waiting import wait_until
from tests.integration.observer.support import Eyes, a_version
from tests.integration.queues.support import Shop
from tests.integration.redis.conftest import Connect

pytestmark = pytest.mark.redis


@pytest.fixture
def raw(redis_cluster: RedisCluster) -> Iterator[Raw]:
    """To look behind the operator's back."""
    client = redis_cluster.client()
    yield client
    client.close()


@pytest.fixture
def connection(redis_cluster: RedisCluster, connected: Connect) -> RedisConnection:
    """The operator's own, with one node named."""
    return connected(url=redis_cluster.url, topology="Cluster")


@pytest.fixture
def shop(redis_cluster: RedisCluster, raw: Raw, request: pytest.FixtureRequest) -> Shop:
    """A queue of the test's own, with the tag in its prefix."""
    url = redis_cluster.bullmq_url
    return Shop(url, cast(Any, raw), prefix=f"{{{request.node.name}}}")


def on_each_node(cluster: RedisCluster) -> dict[RedisServer, str]:
    """The base of a queue on each node."""
    bases = (f"{{tag{number}}}:orders:" for number in range(1000))
    found: dict[RedisServer, str] = {}
    while len(found) < len(cluster.nodes):
        base = next(bases)
        found.setdefault(cluster.owner(base), base)
    return found


@pytest.mark.parametrize("major", [Major.V4, Major.V5, Major.V6])
@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        pytest.param("{bull}", "orders/v1", id="tag in the prefix"),
        pytest.param("bull", "{orders}/v1", id="tag in the name"),
    ],
)
async def test_a_queue_is_read_and_retired_and_its_neighbour_stays(
    shop: Shop, connection: RedisConnection, major: Major, prefix: str, name: str
) -> None:
    shop = shop.by(major).other(name, prefix)
    shop.finish(3, failed=1)
    shop.raw.set(f"{shop.base}de:k", "1")
    neighbour = shop.other(f"{name}0", prefix)
    neighbour.run(["add", "job", {}])
    inventory = await take_inventory(connection, shop.queue)
    outcome = await retire_queue(connection, shop.queue, inventory, inventory.stamp)
    assert outcome == RetirementOutcome(obliterated_jobs=4, swept_keys=1, closed=True)
    assert shop.keys() == set()
    assert (await read_queue(connection, neighbour.base)).counts.unfinished == 1
    neighbour.run(["obliterate", {"force": True}])


async def test_what_messages_and_reopening_need_is_read_and_written(
    shop: Shop, connection: RedisConnection
) -> None:
    shop.run(
        ["add", "later", {}, {"delay": 3_600_000}], ["upsertJobScheduler", "n", {"every": 9e6}]
    )
    detail = await read_detail(connection, shop.base)
    await restore_settings(connection, shop.queue, {"concurrency": "1"})
    assert detail.next_delayed is not None
    assert len(detail.schedulers) == 1
    assert shop.raw.hget(f"{shop.base}meta", "concurrency") == "1"


async def test_what_an_old_process_made_anew_is_swept(
    shop: Shop, connection: RedisConnection
) -> None:
    shop.raw.hset(f"{shop.base}meta", "opts.maxLenEvents", "10000")
    assert (await sweep_recreated(connection, shop.queue)).swept_keys == 1
    assert shop.keys() == set()


async def test_a_worker_is_seen_whichever_node_it_is_attached_to(
    redis_cluster: RedisCluster, shop: Shop, connection: RedisConnection
) -> None:
    for base in on_each_node(redis_cluster).values():
        prefix, name, _ = base.split(":")
        with shop.other(name, prefix).worker():
            clients = await list_clients(connection)
            assert isinstance(clients, ClientTable)
            assert clients.attached(prefix, name)


async def test_many_queues_of_all_nodes_are_read_at_once(
    redis_cluster: RedisCluster, connection: RedisConnection, raw: Raw
) -> None:
    bases = [f"{{t{number % 7}}}:many{number}:" for number in range(500)]
    raw.set(f"{bases[321]}id", 5)
    readings = await read_queues(connection, bases, with_stamp=bases)
    assert list(readings) == bases
    assert {base for base, reading in readings.items() if reading.jobs_added} == {bases[321]}


async def test_a_queue_without_hash_tag_says_what_it_needs(connection: RedisConnection) -> None:
    readings = await read_queues(connection, ["bull:orders:", "{b}:orders:", "{}{b}:orders:"])
    assert isinstance(readings["{b}:orders:"], QueueReading)
    for base in ("bull:orders:", "{}{b}:orders:"):
        unknown = readings[base]
        assert isinstance(unknown, Unknown)
        assert unknown.reason is UnknownReason.WRONG_TOPOLOGY
        assert f"{base[:-1]} needs a hash tag" in unknown.message


async def test_a_node_that_is_taken_for_a_single_server_is_told(
    redis_cluster: RedisCluster, connected: Connect
) -> None:
    with pytest.raises(QueueReadError, match="topology to Cluster") as caught:
        await connected(url=redis_cluster.url).server()
    assert caught.value.reason is UnknownReason.WRONG_TOPOLOGY


async def test_a_single_server_that_is_taken_for_a_cluster_is_told(
    redis_server: RedisServer, connected: Connect
) -> None:
    connection = connected(url=redis_server.url, topology="Cluster")
    with pytest.raises(QueueReadError, match=r"is no Redis Cluster; leave spec.redis.topology out"):
        await read_queue(connection, "{b}:orders:")


async def test_the_operators_default_redis_may_be_a_cluster(redis_cluster: RedisCluster) -> None:
    eyes = Eyes(default=DefaultRedis(redis_cluster.url))
    version = a_version(None, redis=RedisSource(topology="Cluster"))
    seen = await eyes.look(
        replace(version, spec=replace(version.spec, prefix="{default}")), insist=True
    )
    await eyes.backends.close()
    assert isinstance(seen.reading, QueueReading)


async def test_two_addresses_of_one_cluster_are_the_same_place(redis_cluster: RedisCluster) -> None:
    eyes = Eyes()
    first, second = (
        a_version(None, name, redis=RedisSource(url=node.url, topology="Cluster"))
        for name, node in zip(("a-v1", "b-v1"), redis_cluster.nodes, strict=False)
    )
    first, second = (
        replace(version, spec=replace(version.spec, queue=queue, queue_name="{orders}"))
        for version, queue in ((first, "a"), (second, "b"))
    )
    for version in (first, second):
        eyes.cache.upsert_version(version)
        await eyes.look(version)
    await eyes.backends.close()
    assert eyes.cache.claimants(first) == (second.key,)


async def test_a_queue_whose_slot_is_on_its_way_is_unknown_and_nothing_of_it_is_deleted(
    redis_cluster: RedisCluster, shop: Shop, connection: RedisConnection
) -> None:
    shop.finish(30)
    inventory = await take_inventory(connection, shop.queue)
    target = next(n for n in redis_cluster.nodes if n is not redis_cluster.owner(shop.base))
    source = redis_cluster.begin_migration(shop.base, target)
    before = len(shop.keys())
    outcomes: list[str] = []
    while redis_cluster.move_keys(shop.base, source, target, 5):
        outcomes.append(await attempted(connection, shop, inventory))
    assert before == len(shop.keys())
    assert set(outcomes) == {"is moving the queue's slot to another node; it is asked again."}
    redis_cluster.end_migration(shop.base, target)
    assert (await read_queue(connection, shop.base)).counts.completed == 30
    outcome = await retire_queue(connection, shop.queue, inventory, inventory.stamp)
    assert (outcome.closed, shop.keys()) == (True, set())


async def test_an_inventory_that_a_queue_left_in_the_middle_is_none(
    redis_cluster: RedisCluster, shop: Shop, connection: RedisConnection
) -> None:
    shop.finish(3)
    target = next(n for n in redis_cluster.nodes if n is not redis_cluster.owner(shop.base))

    def move() -> None:
        source = redis_cluster.begin_migration(shop.base, target)
        while redis_cluster.move_keys(shop.base, source, target, 100):
            pass
        redis_cluster.end_migration(shop.base, target)

    meddled = replace(connection, client=Meddled(connection.client, move))
    with pytest.raises(QueueReadError, match="while it was looked through"):
        await take_inventory(meddled, shop.queue)
    assert (await take_inventory(connection, shop.queue)).finished_jobs == 3


class Meddled:
    """The operator's client; something happens after its first script."""

    def __init__(self, client: Any, happens: Callable[[], None]) -> None:
        self._client, self._happens = client, happens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def evalsha(self, *words: Any) -> Any:
        answer = await self._client.evalsha(*words)
        self._happens()
        self._happens = lambda: None
        return answer


async def attempted(connection: RedisConnection, shop: Shop, inventory: Inventory) -> str:
    """What reading and retiring say, after the server's name; both must say the same."""
    said = set()
    for attempt in (
        read_queue(connection, shop.base),
        retire_queue(connection, shop.queue, inventory, inventory.stamp),
    ):
        with pytest.raises(QueueReadError) as caught:
            await attempt
        said.add(caught.value.message.removeprefix(f"Redis {connection.address} "))
    assert len(said) == 1
    return said.pop()


async def test_a_lost_node_leaves_its_queues_unknown_and_no_others(
    redis_cluster: RedisCluster, connection: RedisConnection
) -> None:
    bases = on_each_node(redis_cluster)
    before = await connection.server()
    lost = redis_cluster.nodes[0]  # the one whose address is configured
    lost.kill()
    try:
        readings = await read_queues(connection, list(bases.values()))
        during = await connection.server()
    finally:
        lost.restart()
        redis_cluster.wait_healthy()
    away = {base for base, reading in readings.items() if isinstance(reading, Unknown)}
    assert away == {bases[lost]}
    again = await read_queues(connection, list(bases.values()))
    after = await connection.server()
    assert all(isinstance(reading, QueueReading) for reading in again.values())
    assert len({before.run_id, during.run_id, after.run_id}) == 3, "proofs must start anew"
    assert before.processes & after.processes, "and yet it is known to be the same cluster"


async def test_a_replica_that_took_over_is_read(connected: Connect) -> None:
    base = "{orders}:orders:"
    with RedisCluster(masters=3, replicas=1) as cluster:
        lost = cluster.owner(base)
        with lost.client() as master:
            master.set(f"{base}id", 7)
            wait_until(lambda: master.wait(1, 1_000) == 1, "a replica to have it", 60)
        alive = next(node for node in cluster.nodes if node is not lost)
        connection = connected(url=alive.url, topology="Cluster")
        before = await connection.server()
        lost.kill()
        cluster.wait_taken_over(base, lost)
        assert (await read_queue(connection, base)).jobs_added == 7
        assert (await connection.server()).run_id != before.run_id
