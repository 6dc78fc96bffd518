"""A master, its replicas and three sentinels: real ones, quick to see that the master is gone."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Final

import redis

from devcluster import tools
from devcluster.errors import StartError
from devcluster.network import free_port
from devcluster.paths import new_state_dir
from devcluster.processes import Hold
from devcluster.redis_server import HOST, RedisServer
from devcluster.waiting import wait_until

NAME: Final = "shop"
SENTINELS: Final = 3
QUORUM: Final = 2
DOWN_AFTER_MS: Final = 1000
FAILOVER_MS: Final = 2000
"""The next fail-over may begin twice as long after the last."""
READY_SECONDS: Final = 30.0
FAILOVER_SECONDS: Final = 60.0


class RedisSentinel:
    """Use as a context manager. Servers and sentinels end with it."""

    def __init__(
        self, replicas: int = 1, *, password: str = "", sentinel_password: str = ""
    ) -> None:
        """`password` is the servers', `sentinel_password` that of the sentinels themselves."""
        self._replicas, self._password = replicas, password
        self._sentinel_password = sentinel_password
        self._stack = ExitStack()
        self._hold: Hold | None = None
        self.servers: list[RedisServer] = []
        self.ports: list[int] = []

    @property
    def nodes(self) -> tuple[str, ...]:
        """The sentinels, `host:port` each."""
        return tuple(f"{HOST}:{port}" for port in self.ports)

    @property
    def bullmq_url(self) -> str:
        """As the programs of devcluster/programs take it."""
        login = f":{self._password}@" if self._password else ""
        theirs = f"&password={self._sentinel_password}" if self._sentinel_password else ""
        return f"redis+sentinel://{login}{','.join(self.nodes)}/0?master={NAME}{theirs}"

    def master(self) -> RedisServer:
        """The server that the sentinels name now."""
        with self._client(self.ports[0]) as client:
            _, port = client.sentinel_get_master_addr_by_name(NAME)
        return next(server for server in self.servers if server.port == int(port))

    def lose_master(self, *, paused: bool = False) -> RedisServer:
        """Kill (or stop, so that it may come back as it was) the master, and wait for the next.

        Returns the one that was lost.
        """
        lost = self.master()
        if paused:
            lost.pause()
        else:
            lost.kill()
        wait_until(lambda: self.master() is not lost, "a fail-over", FAILOVER_SECONDS)
        self.wait_role(self.master(), "master")
        return lost

    @contextmanager
    def silenced(self, number: int) -> Iterator[None]:
        """One sentinel accepts connections and never answers."""
        if self._hold is None:
            raise StartError("the sentinels were not started")
        name = f"sentinel-{self.ports[number]}"
        self._hold.signal(name, signal.SIGSTOP)
        try:
            yield
        finally:
            self._hold.signal(name, signal.SIGCONT)

    def take_back(self, lost: RedisServer) -> None:
        """A master that was lost follows the new one; the sentinels would take 10 s to tell it."""
        lost.resume() if lost.is_running() else lost.restart()
        with lost.client() as client:
            client.replicaof(HOST, self.master().port)
        self.wait_role(lost, "slave")
        self.wait_synced()

    def wait_role(self, server: RedisServer, role: str) -> None:
        """Until a server says that it is one."""

        def told() -> bool:
            try:
                with server.client() as client:
                    return bool(client.info("replication")["role"] == role)
            except redis.RedisError:
                return False

        wait_until(told, f"{server.port} to be {role}", FAILOVER_SECONDS)

    def wait_synced(self) -> None:
        """Until all replicas have all that the master has."""
        with self.master().client() as client:
            wait_until(lambda: client.wait(self._replicas, 1000) == self._replicas, "replicas", 30)

    def start(self) -> RedisSentinel:
        """Start all, and wait until the sentinels know the replicas and each other."""
        try:
            self._start_servers()
            self._hold = Hold.new(new_state_dir("sentinel"), remove_state=True)
            self._stack.callback(self._hold.shutdown)
            for _ in range(SENTINELS):
                self._start_sentinel()
            for port in self.ports:
                wait_until(partial(self._knows_all, port), f"sentinel {port}", READY_SECONDS)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End all and forget the data."""
        self._stack.close()

    # --- within

    def _start_servers(self) -> None:
        login = ("--masterauth", self._password) if self._password else ()
        for _ in range(1 + self._replicas):
            following = (
                ("--replicaof", f"{HOST} {self.servers[0].port}", "--repl-diskless-sync-delay", "0")
                if self.servers
                else ("--repl-diskless-sync-delay", "0")
            )
            server = RedisServer(password=self._password, settings=(*following, *login))
            self.servers.append(self._stack.enter_context(server))

    def _start_sentinel(self) -> None:
        if self._hold is None:
            raise StartError("the sentinels' supervisor was not started")
        port = free_port(HOST)
        lines = [
            f"port {port}",
            f"bind {HOST}",
            f"sentinel monitor {NAME} {HOST} {self.servers[0].port} {QUORUM}",
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {NAME} {FAILOVER_MS}",
        ]
        if self._password:
            lines.append(f"sentinel auth-pass {NAME} {self._password}")
        if self._sentinel_password:
            lines.append(f"requirepass {self._sentinel_password}")
        configuration = self._hold.state / f"sentinel-{port}.conf"
        configuration.write_text("\n".join(lines) + "\n")
        argv = [str(tools.valkey_server()), str(configuration), "--sentinel"]
        self._hold.spawn(f"sentinel-{port}", argv)
        self.ports.append(port)

    def _knows_all(self, port: int) -> bool:
        try:
            with self._client(port) as client:
                state: dict[str, Any] = client.sentinel_master(NAME)
        except redis.RedisError:
            return False
        others = state["num-other-sentinels"]
        return bool(others == SENTINELS - 1 and state["num-slaves"] == self._replicas)

    def _client(self, port: int) -> Any:
        password = self._sentinel_password or None
        return redis.Redis(host=HOST, port=port, password=password, decode_responses=True)

    def __enter__(self) -> RedisSentinel:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
