"""The ACL user of docs/redis.md: nothing is missing in its rule, and nothing is too much."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from bullmq_operator.domain.counts import ClientsUnknown, UnknownReason
from bullmq_operator.domain.spec import Keep
from bullmq_operator.queues.activity import wait_for_activity
from bullmq_operator.queues.clients import ClientTable, list_clients
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.counts import read_queue
from bullmq_operator.queues.detail import read_detail
from bullmq_operator.queues.errors import QueueReadError
from bullmq_operator.queues.inventory import take_inventory
from bullmq_operator.queues.migration import migrate_queue
from bullmq_operator.queues.retention import prune
from bullmq_operator.queues.retirement import restore_settings, retire_queue, sweep_recreated
from devcluster import bullmq
from devcluster.redis_cluster import RedisCluster
from devcluster.redis_server import RedisServer
from tests.integration.queues.support import Shop, queue_id
from tests.integration.redis.conftest import Connect

pytestmark = pytest.mark.redis

DOCUMENT = Path(__file__).parents[3] / "docs" / "redis.md"
[RULE] = re.findall(r"ACL SETUSER bullmq-operator (.*)", DOCUMENT.read_text())
[MIGRATE] = re.findall(r"\| `(.*)` \| `drain\.onTimeout: Migrate`", DOCUMENT.read_text())
WORDS = RULE.replace("CHANGE-ME", "secret").split()
COMMANDS = [word for word in WORDS if word.startswith("+")]
USER = "bullmq-operator"
SPARED = {"+client|list", "+zmscore"}
LOOKERS_LACK = {"+unlink", "+zremrangebyrank", "+hsetnx"}
CLUSTER_ALSO = ["+cluster|slots", "+command", "+asking"]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A Redis of the module's own."""
    with RedisServer() as started:
        yield started


@pytest.fixture(scope="module")
def contents(server: RedisServer) -> dict[bytes, bytes]:
    """`orders` has something of everything, `refunds` a parent elsewhere, and `done` is done."""
    a_day = {"delay": 86_400_000}
    flow = {"name": "p", "queueName": "orders", "children": [{"name": "c", "queueName": "refunds"}]}
    bullmq.run(
        server.url,
        "orders",
        ["addBulk", bullmq.jobs(20)],
        ["add", "later", {}, a_day],
        ["upsertJobScheduler", "nightly", {"every": 9_000_000}],
        ["addFlow", flow],
    )
    bullmq.run(server.url, "refunds", ["process", 1, {"fail": True}])
    bullmq.run(server.url, "done", ["addBulk", bullmq.jobs(2)], ["process", 1])
    bullmq.run(server.url, "done", ["process", 1, {"fail": True}])
    with redis.Redis.from_url(server.url) as client:
        client.hset("bull:orders:orphan", "timestamp", 1)
        client.hset("bull:orders:dead", "stc", 1)
        return {key: client.dump(key) for key in client.scan_iter()}


@pytest.fixture
def raw(server: RedisServer, contents: dict[bytes, bytes]) -> Iterator[redis.Redis]:
    """The default user; contents and scripts are as at the beginning."""
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
        client.script_flush()
        for key, value in contents.items():
            client.restore(key, 0, value)
        yield client


def grant(raw: redis.Redis, words: list[str]) -> None:
    """Make the user anew."""
    raw.acl_deluser(USER)
    raw.execute_command("ACL", "SETUSER", USER, *words)


async def everything(connection: RedisConnection, prefix: str = "bull") -> None:
    """All that the operator ever does to a Redis. Raises QueueReadError."""
    orders, refunds, done = (queue_id(name, prefix) for name in ("orders", "refunds", "done"))
    await connection.server()
    await read_queue(connection, orders.base)
    await read_detail(connection, orders.base)
    await take_inventory(connection, orders)
    await take_inventory(connection, refunds)
    await restore_settings(connection, done, {"concurrency": "1"})
    inventory = await take_inventory(connection, done)
    outcome = await retire_queue(connection, done, inventory, inventory.stamp)
    assert outcome.closed, outcome
    await sweep_recreated(connection, done)


async def test_the_documented_user_can_do_everything(
    server: RedisServer, raw: redis.Redis, connected: Connect
) -> None:
    grant(raw, WORDS)
    connection = connected(url=server.url_for(USER, "secret"))
    await everything(connection)
    assert isinstance(await list_clients(connection), ClientTable)
    assert not list(raw.scan_iter("bull:done:*"))


@pytest.mark.parametrize("missing", [word for word in COMMANDS if word not in SPARED])
async def test_each_command_is_needed_and_is_named_when_it_is_missing(
    server: RedisServer, raw: redis.Redis, connected: Connect, missing: str
) -> None:
    grant(raw, [word for word in WORDS if word != missing])
    with pytest.raises(QueueReadError) as caught:
        await everything(connected(url=server.url_for(USER, "secret")))
    assert caught.value.reason is UnknownReason.FORBIDDEN
    command = missing[1:].upper().replace("|", " ")
    assert f"forbids its user the command {command}; extend" in caught.value.message


async def test_without_what_can_be_spared_all_else_works_and_the_operator_says_so(
    server: RedisServer, raw: redis.Redis, connected: Connect
) -> None:
    grant(raw, [word for word in WORDS if word not in SPARED])
    connection = connected(url=server.url_for(USER, "secret"))
    await everything(connection)
    clients = await list_clients(connection)
    assert isinstance(clients, ClientsUnknown)
    assert "forbids its user the command CLIENT LIST" in clients.message


async def test_a_queue_of_another_prefix_is_forbidden_and_others_are_not(
    server: RedisServer, raw: redis.Redis, connected: Connect
) -> None:
    grant(raw, WORDS)
    connection = connected(url=server.url_for(USER, "secret"))
    with pytest.raises(QueueReadError, match="forbids its user") as caught:
        await read_queue(connection, "other:orders:")
    assert caught.value.reason is UnknownReason.FORBIDDEN
    await read_queue(connection, "bull:orders:")


async def test_a_user_who_may_only_look_reads_and_deletes_nothing(
    server: RedisServer, raw: redis.Redis, connected: Connect
) -> None:
    grant(raw, [word for word in WORDS if word not in LOOKERS_LACK])
    connection = connected(url=server.url_for(USER, "secret"))
    inventory = await take_inventory(connection, queue_id("done"))
    with pytest.raises(QueueReadError, match="the command UNLINK"):
        await retire_queue(connection, queue_id("done"), inventory, inventory.stamp)
    assert raw.zcard("bull:done:completed") == 1


async def test_retention_needs_what_is_documented_for_it(
    server: RedisServer, raw: redis.Redis, connected: Connect
) -> None:
    grant(raw, WORDS)
    connection = connected(url=server.url_for(USER, "secret"))
    with pytest.raises(QueueReadError, match="the command ZREM"):
        await prune(connection, queue_id("done"), "completed", Keep(count=0))
    [job] = raw.zrange("bull:done:completed", 0, -1)
    assert raw.exists(b"bull:done:" + job), "a refusal in the middle leaves no half of a job"
    grant(raw, [*WORDS, "+zrem"])
    done = await prune(connection, queue_id("done"), "completed", Keep(count=0))
    assert (done.removed, done.bytes_freed) == (1, 0)
    grant(raw, [*WORDS, "+zrem", "+memory|usage"])
    done = await prune(connection, queue_id("done"), "failed", Keep(count=0))
    assert (done.removed, done.bytes_freed > 0) == (1, True)


async def test_migration_needs_what_is_documented_for_it(
    server: RedisServer, raw: redis.Redis, connected: Connect
) -> None:
    source, target = queue_id("orders"), queue_id("orders2")
    grant(raw, WORDS)
    connection = connected(url=server.url_for(USER, "secret"))
    with pytest.raises(QueueReadError, match="forbids its user the command"):
        await migrate_queue(connection, source, target, id_prefix="v1-")
    assert not list(raw.scan_iter("bull:orders2:*")), "nothing moved by halves"
    grant(raw, [*WORDS, *MIGRATE.split()])
    outcome = await migrate_queue(connection, source, target, id_prefix="v1-")
    assert outcome.migrated_jobs == 21


async def test_hints_need_what_is_documented_for_them(
    server: RedisServer, raw: redis.Redis, connected: Connect
) -> None:
    grant(raw, WORDS)
    connection = connected(url=server.url_for(USER, "secret"))
    with pytest.raises(QueueReadError, match="the command XREAD"):
        await wait_for_activity(connection, {"bull:done:": None}, 1)
    grant(raw, [*WORDS, "+xread"])
    assert await wait_for_activity(connection, {"bull:done:": None}, 1) == {"bull:done:"}


async def test_another_database_needs_select(
    server: RedisServer, raw: redis.Redis, connected: Connect
) -> None:
    grant(raw, WORDS)
    with pytest.raises(QueueReadError, match="the command SELECT"):
        await read_queue(connected(url=server.url_for(USER, "secret", 3)), "bull:orders:")
    grant(raw, [*WORDS, "+select"])
    await read_queue(connected(url=server.url_for(USER, "secret", 3)), "bull:orders:")


async def test_a_cluster_needs_what_is_documented_for_it(connected: Connect) -> None:
    words = [word.replace("~bull:*", "~{bull}:*") for word in WORDS]
    rule = " ".join([f"{USER} on", *words[1:], *CLUSTER_ALSO])
    with RedisCluster(masters=2, users=(rule,)) as cluster:
        shop = Shop(cluster.bullmq_url, cluster.nodes[0].client(), "done", "{bull}")
        shop.finish(1)
        settings = {"topology": "Cluster", "username": USER, "password": "secret"}
        connection = connected(url=cluster.url, **settings)
        await everything(connection, "{bull}")
        assert isinstance(await list_clients(connection), ClientTable)
        for missing in ("+cluster|slots", "+command"):
            for node in cluster.nodes:
                with node.client() as client:
                    client.execute_command("ACL", "SETUSER", USER, f"-{missing[1:]}")
            with pytest.raises(QueueReadError, match="forbids its user the command"):
                await everything(connected(url=cluster.url, **settings), "{bull}")
            for node in cluster.nodes:
                with node.client() as client:
                    client.execute_command("ACL", "SETUSER", USER, missing)
