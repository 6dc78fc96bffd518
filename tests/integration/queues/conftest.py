"""Inputs: a real Valkey, and real jobs of every BullMQ. Nothing is faked; what no BullMQ would
write is written by hand, and says so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from bullmq_operator.queues.connection import ConnectionSettings, RedisConnection, connect
from devcluster.bullmq import Major
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
def major() -> Major:
    """Who fills the queue; a test of EVERY_MAJOR or of `majors_with` runs once for each."""
    return Major.V6


@pytest.fixture
def shop(redis_server: RedisServer, raw: redis.Redis, major: Major) -> Shop:
    """The queue most tests are about."""
    return Shop(redis_server.url, raw, major=major)
