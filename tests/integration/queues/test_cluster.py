"""A Redis Cluster of one node: every call finds the queue's slot by its hash tag."""

from __future__ import annotations

from typing import Any, cast

import pytest

from bullmq_operator.domain.counts import QueueDetail, QueueReading, RetirementOutcome
from bullmq_operator.queues.clients import ClientTable, list_clients
from bullmq_operator.queues.connection import ConnectionSettings, connect
from bullmq_operator.queues.counts import read_queues
from bullmq_operator.queues.detail import read_detail
from bullmq_operator.queues.inventory import take_inventory
from bullmq_operator.queues.retirement import restore_settings, retire_queue
from devcluster.redis_server import RedisServer
from devcluster.waiting import wait_until
from tests.integration.queues.support import Shop

pytestmark = pytest.mark.redis


async def test_a_queue_of_a_cluster_is_read_and_retired() -> None:
    with RedisServer(settings=("--cluster-enabled", "yes")) as server, server.client() as raw:
        admin = cast(Any, raw)
        admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        wait_until(
            lambda: "cluster_state:ok" in admin.execute_command("CLUSTER", "INFO"), "slots", 15
        )
        shop = Shop(server.url, raw, prefix="{shop}")
        shop.finish(3, failed=1)
        raw.set(f"{shop.base}de:k", "1")
        connection = connect(ConnectionSettings(url=server.url, topology="Cluster"))
        readings = await read_queues(connection, [shop.base, "{other}:q:"])
        inventory = await take_inventory(connection, shop.queue)
        detail = await read_detail(connection, shop.base)
        clients = await list_clients(connection)
        outcome = await retire_queue(connection, shop.queue, inventory, inventory.stamp)
        left = shop.keys()
        await restore_settings(connection, shop.queue, {"concurrency": "1"})
        role = (await connection.server()).role
        await connection.close()
        assert all(isinstance(reading, QueueReading) for reading in readings.values())
        assert isinstance(clients, ClientTable)
        assert (detail, role) == (QueueDetail(), "master")
        assert outcome == RetirementOutcome(obliterated_jobs=4, swept_keys=1, closed=True)
        assert left == set()
        assert raw.hget(f"{shop.base}meta", "concurrency") == "1"
