"""Inputs: real jobs of every BullMQ, a real Redis, a folder, and moto's S3 over HTTP with users
whose rights are checked. Nothing is faked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis

from bullmq_operator.queues.connection import ConnectionSettings, RedisConnection, connect
from devcluster.bullmq import Major
from devcluster.redis_server import RedisServer
from tests.integration.archive.support import Shelf
from tests.support.s3 import S3, running_s3


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
def major(request: pytest.FixtureRequest) -> Major:
    """Whose jobs they are; v6 unless a test is parametrized."""
    return getattr(request, "param", Major.V6)


@pytest.fixture
def shelf(
    redis_server: RedisServer,
    connection: RedisConnection,
    raw: redis.Redis,
    tmp_path: Path,
    major: Major,
) -> Shelf:
    """A queue, and a folder for its archives."""
    return Shelf(redis_server.url, raw, connection, tmp_path, major)


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """One for all tests: it takes seconds to start."""
    with running_s3() as server:
        yield server
