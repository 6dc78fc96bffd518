"""Inputs: real servers in the shapes that production has: a Cluster, Sentinel, TLS, ACLs.

Clusters and certificates are made once a module; tests use queues of their own in them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from bullmq_operator.queues.connection import ConnectionSettings, RedisConnection, connect
from devcluster.pki import Authority
from devcluster.redis_cluster import RedisCluster

Connect = Callable[..., RedisConnection]


@pytest.fixture
async def connected() -> AsyncIterator[Connect]:
    """`connect` with the fields of ConnectionSettings; closed at the end."""
    made: list[RedisConnection] = []

    def connected(**settings: object) -> RedisConnection:
        made.append(connect(ConnectionSettings(**settings)))  # type: ignore[arg-type]
        return made[-1]

    yield connected
    for connection in made:
        await connection.close()


@pytest.fixture(scope="module")
def redis_cluster() -> Iterator[RedisCluster]:
    """Three masters."""
    with RedisCluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A private CA."""
    return Authority(tmp_path_factory.mktemp("ca"))
