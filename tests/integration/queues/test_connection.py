"""Addresses and failures: each has its reason, and none shows a secret."""

from __future__ import annotations

import socket

import pytest
import redis

from bullmq_operator.domain.counts import UnknownReason
from bullmq_operator.queues.connection import ConnectionSettings, RedisConnection, connect
from bullmq_operator.queues.counts import read_queue
from bullmq_operator.queues.errors import QueueReadError
from devcluster.redis_server import RedisServer

pytestmark = pytest.mark.redis

SECRET = "hunter2-öß"


async def failure(settings: ConnectionSettings) -> QueueReadError:
    """Of the first reading."""
    connection = connect(settings)
    try:
        with pytest.raises(QueueReadError) as caught:
            await read_queue(connection, "bull:orders:")
    finally:
        await connection.close()
    return caught.value


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="nothing"),
        pytest.param("redis:6379", id="no scheme"),
        pytest.param(f"http://:{SECRET}@host", id="another scheme"),
        pytest.param(f"redis://:{SECRET}@host:port", id="a port that is no number"),
        pytest.param(f"redis://:{SECRET}@host/one", id="a database that is no number"),
        pytest.param(f"redis://:{SECRET}@", id="no host"),
        pytest.param(f"redis://:{SECRET}@host/-1", id="a database below zero"),
        pytest.param(f"redis://:{SECRET}@host/?db=2", id="a database where nobody looks for it"),
    ],
)
def test_a_bad_url_is_named_without_being_shown(url: str) -> None:
    with pytest.raises(QueueReadError) as caught:
        connect(ConnectionSettings(url=url))
    assert caught.value.reason is UnknownReason.BAD_URL
    assert SECRET not in caught.value.message
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        pytest.param(ConnectionSettings(url="redis://u:p@cache/3"), "cache:6379/3", id="defaults"),
        pytest.param(ConnectionSettings(url="rediss://[::1]:7000"), "[::1]:7000/0", id="IPv6"),
        pytest.param(ConnectionSettings(url="valkeys://cache/1"), "cache:6379/1", id="Valkey"),
        pytest.param(
            ConnectionSettings(sentinel_master="main", sentinel_nodes=("a", "b:1"), database=2),
            "main@a:26379,b:1/2",
            id="Sentinel",
        ),
        pytest.param(
            ConnectionSettings(url="redis://u:p@cache", topology="Cluster"),
            "cache:6379/0",
            id="Cluster",
        ),
    ],
)
def test_the_address_has_no_credentials(settings: ConnectionSettings, address: str) -> None:
    assert connect(settings).address == address


def test_no_secret_is_in_any_repr() -> None:
    settings = ConnectionSettings(
        url=f"redis://u:{SECRET}@cache", username="name", password=SECRET, sentinel_password=SECRET
    )
    assert SECRET not in repr(settings) + repr(connect(settings))


async def test_a_wrong_password_is_told_without_it() -> None:
    with RedisServer(password="right") as server:
        error = await failure(
            ConnectionSettings(url=f"redis://{server.host}:{server.port}", password=SECRET)
        )
    assert error.reason is UnknownReason.WRONG_PASSWORD
    assert SECRET not in error.message


async def test_a_missing_password_is_a_wrong_one() -> None:
    with RedisServer(password="right") as server:
        error = await failure(ConnectionSettings(url=f"redis://{server.host}:{server.port}"))
    assert error.reason is UnknownReason.WRONG_PASSWORD


async def test_the_password_of_the_settings_goes_before_the_urls() -> None:
    with RedisServer(password=SECRET) as server:
        url = f"redis://:wrong@{server.host}:{server.port}"
        connection = connect(ConnectionSettings(url=url, password=SECRET))
        assert (await read_queue(connection, "bull:orders:")).has_keys is False
        await connection.close()


async def test_a_closed_port_is_unreachable_and_the_message_has_no_secret() -> None:
    with socket.socket() as unused:  # bound and not listening: refused at once
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        error = await failure(ConnectionSettings(url=f"redis://:{SECRET}@127.0.0.1:{port}/0"))
    assert error.reason is UnknownReason.UNREACHABLE
    assert error.message == (
        f"Redis 127.0.0.1:{port}/0 can't be reached: nothing listens there; it is asked again."
    )


async def test_a_server_without_tls_is_unreachable_by_tls(redis_server: RedisServer) -> None:
    error = await failure(ConnectionSettings(url=redis_server.url, tls=True))
    assert error.reason is UnknownReason.UNREACHABLE


async def test_a_forbidden_command_is_named() -> None:
    with RedisServer(users=("limited on >secret ~* +@read",)) as server:
        error = await failure(ConnectionSettings(url=server.url_for("limited", "secret")))
    assert error.reason is UnknownReason.FORBIDDEN
    assert "EVALSHA" in error.message


async def test_a_server_that_came_back_is_read_again(
    redis_server: RedisServer, connection: RedisConnection
) -> None:
    await read_queue(connection, "bull:orders:")
    redis_server.kill()
    with pytest.raises(QueueReadError):
        await read_queue(connection, "bull:orders:")
    redis_server.restart()
    assert (await read_queue(connection, "bull:orders:")).has_keys is False


async def test_another_run_of_the_server_is_told(
    redis_server: RedisServer, connection: RedisConnection
) -> None:
    before = await connection.server()
    redis_server.restart()
    after = await connection.server()
    assert before.run_id != after.run_id
    assert (after.role, after.maxmemory_policy) == ("master", "noeviction")


async def test_the_database_of_the_url_is_the_one_that_is_read(
    redis_server: RedisServer, raw: redis.Redis
) -> None:
    raw.set("bull:orders:id", 1)
    connection = connect(ConnectionSettings(url=f"{redis_server.url}/1"))
    assert (await read_queue(connection, "bull:orders:")).jobs_added is None
    await connection.close()
