"""Inputs: a real Valkey and real Node BullMQ jobs. Nothing is faked; what a version of BullMQ that
is not installed here would have left behind is written by hand, and says so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from bullmq_operator.queues.connection import ConnectionSettings, RedisConnection, connect
from devcluster.redis_server import RedisServer
from tests.integration.queues.support import Shop


@pytest.fixture
async def connection(redis_server: RedisServer) -> AsyncIterator[RedisConnection]:
    """The operator's own."""
    connection = connect(ConnectionSettings(url=redis_server.url))
    yield connection
    await connection.close()


@pytest.fixture
def raw(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """To look and to write behind BullMQ's back."""
    client = redis_server.client()
    yield client
    client.close()


@pytest.fixture
def shop(redis_server: RedisServer, raw: redis.Redis) -> Shop:
    """The queue most tests are about."""
    return Shop(redis_server.url, raw)
