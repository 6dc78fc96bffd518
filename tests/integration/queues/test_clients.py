"""Who is attached: real workers of every BullMQ, and connections with other names."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import redis

from bullmq_operator.domain.counts import AttachedClient, ClientsUnknown
from bullmq_operator.queues.clients import ClientTable, list_clients
from bullmq_operator.queues.connection import ConnectionSettings, RedisConnection, connect
from devcluster.bullmq import Major
from devcluster.redis_server import RedisServer
from tests.integration.queues.features import EVERY_MAJOR
from tests.integration.queues.support import Shop

pytestmark = pytest.mark.redis

ENCODED = "bull:b3JkZXJzL3Yx"
"""`bull:` and the base64 of orders/v1."""


async def table(connection: RedisConnection) -> ClientTable:
    found = await list_clients(connection)
    assert isinstance(found, ClientTable)
    return found


NAMES = {
    Major.V4: [ENCODED],
    Major.V5: [f"{ENCODED}:w:pod-1"],
    Major.V6: [f"{ENCODED}:w:pod-1"],
    Major.PYTHON: ["bull:orders/v1:w:pod-1"] * 2,
}
"""What a worker called pod-1 names the connections that it waits on."""


@EVERY_MAJOR
async def test_a_real_worker_is_attached_to_its_queue_alone(
    connection: RedisConnection, shop: Shop
) -> None:
    with shop.worker(WORKER_NAME="pod-1"):
        found = await table(connection)
    attached = found.attached("bull", "orders/v1")
    assert [client.name for client in attached] == NAMES[shop.major]
    assert {client.host for client in attached} == {"127.0.0.1"}
    assert found.attached("bull", "orders/v10") == ()
    assert found.attached("shop", "orders/v1") == ()


@EVERY_MAJOR
async def test_a_worker_without_a_name_is_attached_too(
    connection: RedisConnection, shop: Shop
) -> None:
    with shop.worker():
        assert (await table(connection)).attached("bull", "orders/v1") != ()


@EVERY_MAJOR
async def test_a_worker_that_went_is_attached_no_more(
    connection: RedisConnection, shop: Shop
) -> None:
    with shop.worker():
        pass
    assert (await table(connection)).attached("bull", "orders/v1") == ()


async def test_workers_of_every_bullmq_are_attached_side_by_side(
    connection: RedisConnection, shop: Shop
) -> None:
    with ExitStack() as workers:
        for major in Major:
            workers.enter_context(shop.by(major).worker(WORKER_NAME="pod-1"))
        attached = (await table(connection)).attached("bull", "orders/v1")
    expected = [name for names in NAMES.values() for name in names]
    assert sorted(client.name for client in attached) == sorted(expected)
    assert len({client.address for client in attached}) == len(expected)


@pytest.mark.parametrize(
    ("name", "is_worker"),
    [
        pytest.param(ENCODED, True, id="a Node worker without a name"),
        pytest.param(f"{ENCODED}:w:a:w:b", True, id="a Node worker with a strange name"),
        pytest.param(f"{ENCODED}:w:x:qe", True, id="a Node worker that is called like events"),
        pytest.param("bull:orders/v1", True, id="a Python worker"),
        pytest.param("bull:orders/v1:w:x", True, id="a Python worker with a name"),
        pytest.param(f"{ENCODED}:qe", False, id="QueueEvents"),
        pytest.param("bull:orders/v1:qe", False, id="Python QueueEvents"),
        pytest.param("bull:orders/v10", False, id="another queue"),
        pytest.param("other", False, id="something else"),
    ],
)
async def test_a_connection_is_told_by_its_name(
    connection: RedisConnection, raw: redis.Redis, name: str, is_worker: bool
) -> None:
    raw.client_setname(name)
    attached = (await table(connection)).attached("bull", "orders/v1")
    assert [client.name for client in attached] == ([name] if is_worker else [])


async def test_a_worker_in_another_database_is_not_attached(
    connection: RedisConnection, redis_url: str
) -> None:
    with redis.Redis.from_url(f"{redis_url}/1", client_name=ENCODED) as elsewhere:
        elsewhere.ping()
        assert (await table(connection)).attached("bull", "orders/v1") == ()


async def test_several_clients_come_in_one_order() -> None:
    one, two = AttachedClient("10.0.0.1:1", ENCODED), AttachedClient("10.0.0.2:1", ENCODED)
    assert ClientTable({ENCODED: (two, one)}).attached("bull", "orders/v1") == (one, two)


async def test_a_refused_client_list_is_unknown_not_nobody() -> None:
    with RedisServer(users=("reader on >secret ~* +@read +evalsha",)) as server:
        connection = connect(ConnectionSettings(url=server.url_for("reader", "secret")))
        found = await list_clients(connection)
        await connection.close()
    assert isinstance(found, ClientsUnknown)
    assert "CLIENT LIST" in found.message
    assert "secret" not in found.message
