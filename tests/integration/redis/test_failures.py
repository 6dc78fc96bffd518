"""Whatever is wrong with a Redis: Unknown, and one sentence with its cause and what next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from threading import Thread

import pytest
import redis

from bullmq_operator.domain.counts import QueueReading, Unknown, UnknownReason
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.counts import read_queue
from bullmq_operator.queues.errors import QueueReadError
from bullmq_operator.queues.inventory import take_inventory
from bullmq_operator.queues.retirement import restore_settings, retire_queue
from devcluster.redis_server import HOST, RedisServer
from devcluster.waiting import wait_until
from tests.integration.observer.support import Eyes, a_version
from tests.integration.queues.support import Shop, queue_id
from tests.integration.redis.conftest import Connect

pytestmark = pytest.mark.redis

BASE = "bull:orders:"
PASSWORD = "hunter2"
QUICK = 0.3
"""Seconds to wait for an answer that never comes."""

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One that every test leaves as it was."""
    with RedisServer(password=PASSWORD) as started:
        yield started


@pytest.fixture
def raw(server: RedisServer) -> Iterator[redis.Redis]:
    """To break it and to mend it."""
    with server.client() as client:
        yield client


@contextmanager
def configured(raw: redis.Redis, name: str, value: str) -> Iterator[None]:
    """CONFIG SET, and back."""
    [before] = raw.config_get(name).values()
    raw.config_set(name, value)
    try:
        yield
    finally:
        raw.config_set(name, before)


@asynccontextmanager
async def listening(conversation: Conversation) -> AsyncIterator[str]:
    """The URL of something that is no Redis."""
    server = await asyncio.start_server(conversation, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"redis://:{PASSWORD}@{HOST}:{port}"
    finally:
        server.close()


async def told(connection: RedisConnection) -> tuple[UnknownReason, str]:
    """Reason and message of a reading, the message without the server's name."""
    with pytest.raises(QueueReadError) as caught:
        await read_queue(connection, BASE)
    return told_by(caught.value, connection)


def told_by(error: QueueReadError, connection: RedisConnection) -> tuple[UnknownReason, str]:
    """The same of any call."""
    head = f"Redis {connection.address} "
    assert error.message.startswith(head)
    assert PASSWORD not in error.message
    return error.reason, error.message.removeprefix(head)


async def test_a_listener_that_never_answers(connected: Connect) -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with listening(silence) as url:
        connection = connected(url=url, timeout=QUICK)
        says = "does not answer in time; it is asked again."
        assert await told(connection) == (UnknownReason.UNREACHABLE, says)


async def test_a_server_that_hangs_is_read_again_when_it_goes_on(
    server: RedisServer, connected: Connect
) -> None:
    connection = connected(url=server.url, timeout=QUICK)
    await read_queue(connection, BASE)
    server.pause()
    try:
        reason, says = await told(connection)
    finally:
        server.resume()
    assert (reason, says) == (
        UnknownReason.UNREACHABLE,
        "does not answer in time; it is asked again.",
    )
    assert isinstance(await read_queue(connection, BASE), QueueReading)


async def test_an_answer_that_is_cut_off(server: RedisServer, connected: Connect) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, questions = await asyncio.open_connection(HOST, server.port)
        while piece := await reader.read(65536):
            questions.write(piece)
            answer = await answers.read(65536)
            counts = answer.startswith(b"*")  # those of our script; all others are short
            writer.write(answer[:10] if counts else answer)
            if counts:
                break
        questions.close()
        writer.close()

    async with listening(cut) as url:
        reason, says = await told(connected(url=url))
    assert reason is UnknownReason.UNREACHABLE
    assert says.startswith("can't be reached: it ends the connection instead of answering")


async def test_something_that_is_no_redis(connected: Connect) -> None:
    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(64)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with listening(http) as url:
        says = "can't be reached: what answers there is no Redis; correct the port."
        assert await told(connected(url=url)) == (UnknownReason.UNREACHABLE, says)


async def test_a_name_that_nobody_knows(connected: Connect) -> None:
    connection = connected(url=f"redis://:{PASSWORD}@no-such-host.invalid")
    says = "can't be reached: its host name is not known."
    assert await told(connection) == (UnknownReason.UNREACHABLE, says)


@pytest.mark.parametrize("given", [{}, {"password": "wr0ng"}, {"username": "nobody"}])
async def test_a_login_that_is_refused(
    server: RedisServer, connected: Connect, given: dict[str, str]
) -> None:
    url = server.url if "username" in given else f"redis://{HOST}:{server.port}"
    reason, says = await told(connected(url=url, **given))
    assert reason is UnknownReason.WRONG_PASSWORD
    assert "correct what spec.redis.usernameFrom, passwordFrom or urlFrom names" in says


async def test_a_database_that_is_not_there(server: RedisServer, connected: Connect) -> None:
    says = "has no database of this number; correct it at the end of the URL."
    assert await told(connected(url=f"{server.url}/99")) == (UnknownReason.BAD_URL, says)


async def test_a_server_that_is_full_of_clients(
    server: RedisServer, raw: redis.Redis, connected: Connect
) -> None:
    with configured(raw, "maxclients", "1"):
        says = "has no connection left for the operator (maxclients); it is asked again."
        assert await told(connected(url=server.url)) == (UnknownReason.UNREACHABLE, says)


async def test_a_server_that_is_busy_with_a_script(
    server: RedisServer, raw: redis.Redis, connected: Connect
) -> None:
    connection = connected(url=server.url)
    await read_queue(connection, BASE)
    with server.client() as other, configured(raw, "busy-reply-threshold", "50"):
        thread = Thread(target=run_for_ever, args=(other,))
        thread.start()
        try:
            wait_until(lambda: is_busy(raw), "the script to block", 30)
            says = await told(connection)
        finally:
            raw.script_kill()
            thread.join()
    assert says == (
        UnknownReason.UNREACHABLE,
        "is blocked by a script that does not end (SCRIPT KILL ends it); it is asked again.",
    )


def run_for_ever(client: redis.Redis) -> None:
    """Until SCRIPT KILL."""
    with pytest.raises(redis.ResponseError, match="killed"):
        client.eval("while true do end", 0)


def is_busy(client: redis.Redis) -> bool:
    """Whether it refuses others."""
    try:
        client.ping()
    except redis.ResponseError as error:
        return "BUSY" in str(error)
    return False


async def test_a_server_that_loads_its_data(connected: Connect) -> None:
    slowly = ("--key-load-delay", "100")  # microseconds; it answers at every 1024th command
    with RedisServer(settings=slowly) as server:
        with server.client() as client, client.pipeline(transaction=False) as pipe:
            for number in range(20_000):
                pipe.set("key", number)
            pipe.execute()
        server.shut_down()
        restarted = asyncio.create_task(asyncio.to_thread(server.restart))
        connection = connected(url=server.url)
        said: set[tuple[UnknownReason, str]] = set()
        while not restarted.done():
            try:
                await read_queue(connection, BASE)
            except QueueReadError as error:
                said.add(told_by(error, connection))
            await asyncio.sleep(0.01)
        await restarted
    assert (UnknownReason.LOADING, "is loading its data; it is asked again.") in said


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        pytest.param(
            "maxmemory",
            "1",
            "is out of memory and refuses to write; raise maxmemory or make room.",
            id="out of memory",
        ),
        pytest.param(
            "min-replicas-to-write",
            "1",
            "has too few replicas to take a write (min-replicas-to-write); it is asked again.",
            id="no replica",
        ),
    ],
)
async def test_a_server_that_takes_no_write(
    server: RedisServer, raw: redis.Redis, connected: Connect, setting: str, value: str, says: str
) -> None:
    connection = connected(url=server.url)
    with configured(raw, setting, value), pytest.raises(QueueReadError) as caught:
        await restore_settings(connection, queue_id("orders"), {"concurrency": "1"})
    assert told_by(caught.value, connection) == (UnknownReason.UNREACHABLE, says)
    assert isinstance(await read_queue(connection, BASE), QueueReading)


async def test_a_server_that_is_out_of_memory_lets_a_queue_be_retired(
    server: RedisServer, raw: redis.Redis, connected: Connect
) -> None:
    shop = Shop(server.url, raw)
    shop.finish(3)
    connection = connected(url=server.url)
    with configured(raw, "maxmemory", "1"):
        inventory = await take_inventory(connection, shop.queue)
        outcome = await retire_queue(connection, shop.queue, inventory, inventory.stamp)
    assert (outcome.closed, shop.keys()) == (True, set())


async def test_a_replica_is_not_counted_and_nothing_is_deleted_there(
    server: RedisServer, raw: redis.Redis, connected: Connect
) -> None:
    shop = Shop(server.url, raw)
    shop.finish(3)
    of = ("--replicaof", f"{HOST} {server.port}", "--masterauth", PASSWORD)
    with RedisServer(settings=of) as replica:
        wait_until(lambda: raw.wait(1, 1000) == 1, "the replica", 30)
        eyes = Eyes()
        seen = await eyes.look(a_version(replica.url))
        await eyes.backends.close()
        connection = connected(url=replica.url)
        inventory = await take_inventory(connection, shop.queue)
        with pytest.raises(QueueReadError) as caught:
            await retire_queue(connection, shop.queue, inventory, inventory.stamp)
    assert isinstance(seen.reading, Unknown)
    assert seen.reading.reason is UnknownReason.READ_ONLY
    assert told_by(caught.value, connection) == (
        UnknownReason.READ_ONLY,
        "is a read-only replica; use the address of the primary.",
    )
    assert len(shop.keys()) > 3
    raw.flushall()


async def test_a_replica_without_its_primary(connected: Connect) -> None:
    with RedisServer(settings=("--replica-serve-stale-data", "no")) as replica:
        with replica.client() as client:
            client.replicaof(HOST, 1)
        says = "has no primary at the moment; it is asked again."
        assert await told(connected(url=replica.url)) == (UnknownReason.UNREACHABLE, says)


async def test_the_eviction_policy_is_read_for_a_warning(
    server: RedisServer, raw: redis.Redis
) -> None:
    eyes = Eyes()
    with configured(raw, "maxmemory-policy", "allkeys-lru"):
        seen = await eyes.look(a_version(server.url))
    await eyes.backends.close()
    assert seen.maxmemory_policy == "allkeys-lru"
