"""TLS with a private CA, and each way in which a certificate can be wrong."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bullmq_operator.domain.counts import UnknownReason
from bullmq_operator.queues.connection import ConnectionSettings, connect
from bullmq_operator.queues.counts import read_queue
from bullmq_operator.queues.errors import QueueReadError
from bullmq_operator.queues.tls import trust
from devcluster.pki import VALID, Authority, KeyPair
from devcluster.redis_cluster import RedisCluster
from devcluster.redis_server import RedisServer
from devcluster.tls_front import HOST, TlsFront
from tests.integration.redis.conftest import Connect

pytestmark = pytest.mark.redis

A_DAY = datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """What is behind the TLS."""
    with RedisServer() as started:
        yield started


@pytest.fixture(scope="module")
def pair(authority: Authority) -> KeyPair:
    """A good certificate for this machine's address."""
    return authority.server("redis", addresses=[HOST], dns=["redis"])


@pytest.fixture(scope="module")
def front(server: RedisServer, pair: KeyPair) -> Iterator[TlsFront]:
    """The server with TLS."""
    with TlsFront(server.port, pair) as started:
        yield started


@pytest.fixture(scope="module")
def ca(authority: Authority) -> str:
    """As it stands in a Secret or ConfigMap."""
    return authority.certificate.read_text()


async def failure(settings: ConnectionSettings) -> QueueReadError:
    """Of the first reading."""
    connection = connect(settings)
    try:
        with pytest.raises(QueueReadError) as caught:
            await read_queue(connection, "bull:orders:")
    finally:
        await connection.close()
    return caught.value


@pytest.mark.parametrize("scheme", ["rediss", "redis", "valkeys"])
async def test_a_private_ca_is_trusted_when_it_is_named(
    front: TlsFront, ca: str, connected: Connect, scheme: str
) -> None:
    url = front.url.replace("rediss", scheme)
    connection = connected(url=url, tls=True, ca=ca)
    assert not (await read_queue(connection, "bull:orders:")).has_keys


async def test_a_bundle_may_hold_an_old_and_a_new_ca(
    front: TlsFront, ca: str, connected: Connect, tmp_path: Path
) -> None:
    old = Authority(tmp_path / "old").certificate.read_text()
    connection = connected(url=front.url, ca=old + ca)
    assert not (await read_queue(connection, "bull:orders:")).has_keys


async def test_a_private_ca_that_is_not_named_says_where_to_name_it(front: TlsFront) -> None:
    error = await failure(ConnectionSettings(url=front.url))
    assert error.reason is UnknownReason.TLS_FAILED
    assert "name its CA in spec.redis.tls.caFrom" in error.message


async def test_another_ca_is_not_trusted(front: TlsFront, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other").certificate.read_text()
    error = await failure(ConnectionSettings(url=front.url, ca=other))
    assert error.reason is UnknownReason.TLS_FAILED
    assert "no trusted authority has signed" in error.message


async def test_without_a_named_ca_those_of_the_operators_image_are_trusted(
    front: TlsFront, authority: Authority, connected: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    trust.cache_clear()
    try:
        connection = connected(url=front.url)
        assert not (await read_queue(connection, "bull:orders:")).has_keys
    finally:
        trust.cache_clear()


async def test_where_a_ca_is_named_the_systems_are_not_trusted(
    front: TlsFront, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = tmp_path / "system.pem"
    shutil.copy(authority.certificate, system)
    monkeypatch.setenv("SSL_CERT_FILE", str(system))
    other = Authority(tmp_path / "other").certificate.read_text()
    error = await failure(ConnectionSettings(url=front.url, ca=other))
    assert error.reason is UnknownReason.TLS_FAILED


@pytest.mark.parametrize(
    ("address", "age", "says"),
    [
        pytest.param(HOST, VALID + A_DAY, "has expired; renew it", id="expired"),
        pytest.param(HOST, -A_DAY, "is not valid yet; compare the clocks", id="from tomorrow"),
        pytest.param(
            "127.0.0.9", 0 * A_DAY, "for another name; address it by a name", id="another name"
        ),
    ],
)
async def test_a_wrong_certificate_says_what_is_wrong(
    server: RedisServer,
    authority: Authority,
    ca: str,
    address: str,
    age: datetime.timedelta,
    says: str,
) -> None:
    pair = authority.server("wrong", addresses=[address], dns=["other"], age=age)
    with TlsFront(server.port, pair) as front:
        error = await failure(ConnectionSettings(url=front.url, ca=ca))
    assert error.reason is UnknownReason.TLS_FAILED
    assert says in error.message


async def test_a_server_that_wants_a_client_certificate_is_told(
    server: RedisServer, authority: Authority, pair: KeyPair, ca: str
) -> None:
    with TlsFront(server.port, pair, client_ca=authority.certificate) as front:
        error = await failure(ConnectionSettings(url=front.url, ca=ca))
    assert "client certificate" in error.message


async def test_a_port_for_tls_that_is_asked_without_says_so(front: TlsFront) -> None:
    error = await failure(ConnectionSettings(url=front.url.replace("rediss", "redis")))
    assert error.reason is UnknownReason.UNREACHABLE
    assert "a TLS port" in error.message


@pytest.mark.parametrize("text", ["", "hunter2", "-----BEGIN CERTIFICATE-----\nhunter2"])
def test_a_ca_that_is_none_is_told_without_it(text: str) -> None:
    with pytest.raises(QueueReadError, match=r"spec\.redis\.tls\.caFrom") as caught:
        connect(ConnectionSettings(url="rediss://redis", ca=text))
    assert caught.value.reason is UnknownReason.BAD_URL
    assert "hunter2" not in caught.value.message


async def test_a_cluster_is_read_over_tls(pair: KeyPair, ca: str, connected: Connect) -> None:
    fronts: list[TlsFront] = []

    def announce(node: RedisServer) -> tuple[str, ...]:
        fronts.append(TlsFront(node.port, pair).start())
        return ("cluster-announce-port", str(fronts[-1].port))

    try:
        with RedisCluster(masters=2, announce=announce):
            connection = connected(url=fronts[0].url, topology="Cluster", ca=ca)
            for base in ("{a}:orders:", "{b}:orders:"):
                assert not (await read_queue(connection, base)).has_keys
            assert (await connection.server()).role == "master"
    finally:
        for front in fronts:
            front.stop()
