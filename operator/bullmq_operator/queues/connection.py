"""One shared client per Redis: bounded pool, bounded waiting, no secret in any text."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster, Sentinel
from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from bullmq_operator.domain.counts import UnknownReason
from bullmq_operator.queues.errors import QueueReadError, translated

MAX_CONNECTIONS: Final = 8
SOCKET_SECONDS: Final = 5.0
"""To connect, and to wait for an answer; also to wait for a free connection of the pool."""
RETRIES: Final = 1
"""After a broken connection; redis-py's own default can hang for minutes on a dead server.
All our scripts may run twice: the second run finds nothing left to do."""
DEFAULT_PORT: Final = 6379
SENTINEL_PORT: Final = 26379


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """How to reach one Redis, secrets resolved; `repr` shows none of them."""

    url: str | None = field(default=None, repr=False)
    """`redis[s]://[user[:password]@]host[:port][/db]`; not asked for when a Sentinel is named."""
    sentinel_master: str | None = None
    sentinel_nodes: tuple[str, ...] = ()
    """`host[:port]` each."""
    sentinel_password: str | None = field(default=None, repr=False)
    database: int = 0
    """With Sentinel; a URL names its own."""
    username: str | None = field(default=None, repr=False)
    """Goes before the URL's; so does `password`."""
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca: str | None = field(default=None, repr=False)
    """PEM text; None: the system's authorities."""
    topology: str = "Standalone"
    """`Standalone` or `Cluster`."""


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """Who answers: another run or replication id means the history may have changed."""

    run_id: str
    replication_id: str
    role: str
    maxmemory_policy: str | None


@dataclass(frozen=True, slots=True)
class RedisConnection:
    """A client and its address. Safe to share between tasks."""

    client: Any = field(repr=False)
    """redis-py's Redis or RedisCluster: its types don't cover both, so it is Any, and used only
    in this package."""
    address: str
    """`host:port/db`, without credentials."""
    database: int
    is_cluster: bool = False

    async def server(self) -> ServerInfo:
        """INFO of the (first) primary. Raises QueueReadError."""
        with translated(self.address):
            if self.is_cluster:
                await self.client.initialize()
                node = self.client.get_primaries()[0]
                info = await self.client.info(target_nodes=node)
            else:
                info = await self.client.info()
        return ServerInfo(
            run_id=str(info.get("run_id", "")),
            replication_id=str(info.get("master_replid", "")),
            role=str(info.get("role", "")),
            maxmemory_policy=info.get("maxmemory_policy"),
        )

    async def close(self) -> None:
        """Drop all connections; errors of dying sockets don't matter any more."""
        with suppress(QueueReadError), translated(self.address):
            await self.client.aclose()


def connect(settings: ConnectionSettings) -> RedisConnection:
    """Build the client; nothing is sent before its first use.

    Raises QueueReadError(BAD_URL) for settings that can't be an address.
    """
    if settings.sentinel_master is not None:
        return _through_sentinel(settings, settings.sentinel_master)
    target = _parse(settings.url or "")
    common = _common(settings, tls=target.tls or settings.tls)
    common["username"] = settings.username or target.username
    common["password"] = settings.password or target.password
    if settings.topology == "Cluster":
        return _to_cluster(target, common)
    secure = common.pop("ssl")
    pool = BlockingConnectionPool(
        max_connections=MAX_CONNECTIONS,
        timeout=SOCKET_SECONDS,
        connection_class=SSLConnection if secure else Connection,
        host=target.host,
        port=target.port,
        db=target.database,
        **common,
    )
    client = Redis.from_pool(pool)
    return RedisConnection(client, f"{target.location}/{target.database}", target.database)


@dataclass(frozen=True, slots=True)
class _Target:
    host: str
    port: int
    database: int
    username: str | None
    password: str | None
    tls: bool

    @property
    def location(self) -> str:
        return _joined(self.host, self.port)


def _parse(url: str) -> _Target:
    """Stricter than redis-py, which reads `/one` as database 0: the wrong database looks empty."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port or DEFAULT_PORT
        database = int(parts.path.strip("/") or 0)
    except ValueError:
        raise _bad_url() from None  # its text may quote the URL
    if parts.scheme not in ("redis", "rediss") or not host or database < 0:
        raise _bad_url()
    return _Target(
        host=host,
        port=port,
        database=database,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=parts.scheme == "rediss",
    )


def _bad_url() -> QueueReadError:
    return QueueReadError(
        UnknownReason.BAD_URL,
        "The Redis address is not of the form redis://host:port/db or rediss://host:port/db.",
    )


def _common(settings: ConnectionSettings, *, tls: bool) -> dict[str, Any]:
    options: dict[str, Any] = {
        "decode_responses": True,
        "encoding_errors": "surrogateescape",  # a key that is no UTF-8 survives
        "socket_timeout": SOCKET_SECONDS,
        "socket_connect_timeout": SOCKET_SECONDS,
        "retry": Retry(ExponentialBackoff(cap=0.5, base=0.05), RETRIES),
        "protocol": 2,  # no HELLO: proxies and Redis 5 don't know it
        "ssl": tls,
    }
    if tls and settings.ca is not None:
        options["ssl_ca_data"] = settings.ca
    return options


def _to_cluster(target: _Target, common: dict[str, Any]) -> RedisConnection:
    if target.database != 0:
        raise QueueReadError(
            UnknownReason.BAD_URL, "A Redis Cluster has database 0 only; remove it from the URL."
        )
    client = RedisCluster(
        host=target.host, port=target.port, max_connections=MAX_CONNECTIONS, **common
    )
    return RedisConnection(client, f"{target.location}/0", 0, is_cluster=True)


def _through_sentinel(settings: ConnectionSettings, master: str) -> RedisConnection:
    nodes = [_node(text) for text in settings.sentinel_nodes]
    if not nodes:
        raise QueueReadError(UnknownReason.BAD_URL, "No Sentinel node is named.")
    common = _common(settings, tls=settings.tls)
    of_sentinels = {**common, "password": settings.sentinel_password}
    sentinel = Sentinel(nodes, sentinel_kwargs=of_sentinels, **common)  # type: ignore[no-untyped-call]
    client = sentinel.master_for(
        master,
        db=settings.database,
        username=settings.username,
        password=settings.password,
        max_connections=MAX_CONNECTIONS,
    )
    where = ",".join(_joined(host, port) for host, port in nodes)
    return RedisConnection(client, f"{master}@{where}/{settings.database}", settings.database)


def _node(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text.strip()}")
        host, port = parts.hostname, parts.port or SENTINEL_PORT
    except ValueError:
        host = None
    if not host:
        raise QueueReadError(UnknownReason.BAD_URL, "A Sentinel node is not of the form host:port.")
    return host, port


def _joined(host: str, port: int) -> str:
    try:
        is_ipv6 = ipaddress.ip_address(host).version == 6
    except ValueError:
        is_ipv6 = False
    return f"[{host}]:{port}" if is_ipv6 else f"{host}:{port}"
