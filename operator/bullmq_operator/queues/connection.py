"""One shared client per Redis: bounded pool, bounded waiting, no secret in any text."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import Connection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from bullmq_operator.domain.counts import UnknownReason
from bullmq_operator.queues.cluster import ClusterClient, each_primary
from bullmq_operator.queues.errors import QueueReadError, translated
from bullmq_operator.queues.sentinel import MasterPool, Sentinels
from bullmq_operator.queues.tls import TlsConnection, trust

MAX_CONNECTIONS: Final = 8
SOCKET_SECONDS: Final = 5.0
"""To connect, and to wait for an answer; also to wait for a free connection of the pool."""
RETRIES: Final = 1
"""After a broken connection; redis-py's own default can hang for minutes on a dead server.
All our scripts may run twice: the second run finds nothing left to do, or does what comes next."""
DEFAULT_PORT: Final = 6379
SENTINEL_PORT: Final = 26379
SCHEMES: Final = {"redis": False, "valkey": False, "rediss": True, "valkeys": True}
"""And whether each means TLS."""


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
    timeout: float = SOCKET_SECONDS


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """Who answers: another run or replication id means the history may have changed."""

    run_id: str
    """Of a Redis Cluster: those of all primaries, sorted, with commas between."""
    replication_id: str
    """The same."""
    role: str
    """`slave` where any of them is one."""
    maxmemory_policy: str | None
    """None: not told."""
    processes: frozenset[str] = frozenset()
    """Run ids: who shares one is the same Redis. Empty where a managed Redis hides it."""


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
    master_pool: MasterPool | None = field(default=None, repr=False)
    """Set where Sentinel names the server."""

    async def server(self) -> ServerInfo:
        """INFO of the server, or of all primaries of a Cluster.

        Raises QueueReadError, also where the server is not what the settings say of it, or where
        the master has moved since the last call.
        """
        if self.is_cluster:
            return _server(await each_primary(self.client, self.address))
        if self.master_pool is not None:
            with translated(self.address):
                await self.master_pool.confirm()
        with translated(self.address):
            info: Mapping[str, Any] = await self.client.info()
        if info.get("redis_mode") == "cluster" or info.get("server_mode") == "cluster":
            raise QueueReadError(
                UnknownReason.WRONG_TOPOLOGY,
                f"Redis {self.address} is a node of a Redis Cluster; set spec.redis.topology to "
                "Cluster.",
            )
        return _server([info])

    async def close(self) -> None:
        """Drop all connections; errors of dying sockets don't matter any more."""
        with suppress(QueueReadError), translated(self.address):
            await (self.master_pool.close() if self.master_pool else self.client.aclose())


def _server(infos: Iterable[Mapping[str, Any]]) -> ServerInfo:
    """A proof on a Cluster starts anew when any of its primaries is another one: that costs a
    quiet period, and needs no knowledge of which slot was where."""
    ordered = sorted(infos, key=lambda info: str(info.get("run_id", "")))
    run_ids = [str(info.get("run_id") or "") for info in ordered]
    roles = {str(info.get("role") or "") for info in ordered}
    policies = {info.get("maxmemory_policy") for info in ordered}
    return ServerInfo(
        run_id=",".join(run_ids),
        replication_id=",".join(str(info.get("master_replid") or "") for info in ordered),
        role="slave" if roles & {"slave", "replica"} else min(roles, default=""),
        maxmemory_policy=next(
            (str(policy) for policy in policies if policy not in (None, "noeviction")),
            "noeviction" if "noeviction" in policies else None,
        ),
        processes=frozenset(filter(None, run_ids)),
    )


def connect(settings: ConnectionSettings) -> RedisConnection:
    """Build the client; nothing is sent before its first use.

    Raises QueueReadError for settings that can't be an address, and for a CA that is none.
    """
    if settings.sentinel_master is not None:
        return _through_sentinel(settings, settings.sentinel_master)
    target = _parse(settings.url or "")
    options = _common(settings, tls=target.tls or settings.tls)
    options["username"] = settings.username or target.username
    options["password"] = settings.password or target.password
    if settings.topology == "Cluster":
        return _to_cluster(target, options)
    pool = _pool(target.host, target.port, {**options, "db": target.database})
    return RedisConnection(
        Redis.from_pool(pool), f"{target.location}/{target.database}", target.database
    )


def _pool(host: str, port: int, options: dict[str, Any]) -> BlockingConnectionPool:
    tls = options.pop("ssl")
    return BlockingConnectionPool(
        max_connections=MAX_CONNECTIONS,
        timeout=SOCKET_SECONDS,
        connection_class=TlsConnection if tls else Connection,
        host=host,
        port=port,
        **options,
    )


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
    if parts.scheme not in SCHEMES or not host or database < 0 or "db" in parse_qs(parts.query):
        raise _bad_url()
    return _Target(
        host=host,
        port=port,
        database=database,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=SCHEMES[parts.scheme],
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
        "socket_timeout": settings.timeout,
        "socket_connect_timeout": settings.timeout,
        "retry": Retry(ExponentialBackoff(cap=0.5, base=0.05), RETRIES),
        "protocol": 2,  # no HELLO: proxies and Redis 5 don't know it
        "ssl": tls,
    }
    if tls:
        trust(settings.ca)  # raises now rather than at each connection
        options["ssl_ca_data"] = settings.ca
    return options


def _to_cluster(target: _Target, options: dict[str, Any]) -> RedisConnection:
    if target.database != 0:
        raise QueueReadError(
            UnknownReason.BAD_URL, "A Redis Cluster has database 0 only; remove it from the URL."
        )
    client = ClusterClient(target.host, target.port, **options)
    return RedisConnection(client, f"{target.location}/0", 0, is_cluster=True)


def _through_sentinel(settings: ConnectionSettings, master: str) -> RedisConnection:
    nodes = [_node(text) for text in settings.sentinel_nodes]
    if not nodes:
        raise QueueReadError(UnknownReason.BAD_URL, "No Sentinel node is named.")
    options = _common(settings, tls=settings.tls)
    where = ",".join(_joined(host, port) for host, port in nodes)
    login = {"password": settings.sentinel_password}
    clients = [Redis.from_pool(_pool(host, port, {**options, **login})) for host, port in nodes]
    options["username"], options["password"] = settings.username, settings.password
    pool = MasterPool(
        master,
        Sentinels(clients, where),
        tls=options.pop("ssl"),
        max_connections=MAX_CONNECTIONS,
        timeout=SOCKET_SECONDS,
        db=settings.database,
        **options,
    )
    address = f"{master}@{where}/{settings.database}"
    return RedisConnection(Redis(connection_pool=pool), address, settings.database, False, pool)


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
