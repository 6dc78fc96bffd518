"""A real Redis Cluster: masters (and replicas) on free ports of this machine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

import redis
from redis.crc import key_slot

from devcluster.network import free_port
from devcluster.redis_server import RedisServer
from devcluster.waiting import wait_until

SLOTS: Final = 16384
MEETING_SECONDS: Final = 30.0


class RedisCluster:
    """Use as a context manager. `masters` come first, then `replicas` of each in their order."""

    def __init__(
        self,
        masters: int = 3,
        replicas: int = 0,
        *,
        users: tuple[str, ...] = (),
        announce: Callable[[RedisServer], tuple[str, ...]] | None = None,
        settings: tuple[str, ...] = (),
    ) -> None:
        """`announce`: CONFIG SET arguments once a node runs, such as the port of its TLS front."""
        self._masters, self._replicas = masters, replicas
        self._users, self._announce, self._settings = users, announce, settings
        self._stack = ExitStack()
        self.nodes: list[RedisServer] = []

    @property
    def url(self) -> str:
        """Of the first node, as BullMQ's programs and redis-py's standalone client take it."""
        return self.nodes[0].url

    @property
    def bullmq_url(self) -> str:
        """As the programs of devcluster/programs take it: `redis+cluster://`."""
        return self.url.replace("redis://", "redis+cluster://")

    def client(self) -> redis.RedisCluster:
        """A synchronous client of the whole cluster; the caller closes it."""
        node = self.nodes[0]
        return redis.RedisCluster(host=node.host, port=node.port, decode_responses=True)

    def owner(self, key: str) -> RedisServer:
        """The node that has a key's slot now."""
        slot = key_slot(key.encode())
        for first, last, (_, port, *_), *_ in self._ask_any("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == port)
        raise LookupError(f"no node has slot {slot}")

    def wait_healthy(self) -> None:
        """Until every node finds all of them well."""
        for node in self.nodes:
            wait_until(partial(self._is_healthy, node), "the cluster's health", MEETING_SECONDS)

    def wait_taken_over(self, key: str, lost: RedisServer) -> None:
        """Until a replica has the slot of this key, which the lost master had."""
        wait_until(lambda: self.owner(key) is not lost, "a replica to take over", MEETING_SECONDS)

    def start(self) -> RedisCluster:
        """Start all nodes and wait until each finds the cluster healthy."""
        try:
            for _ in range(self._masters * (1 + self._replicas)):
                self.nodes.append(self._stack.enter_context(self._node()))
            self._meet()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End all nodes and forget their data."""
        self._stack.close()

    # --- a slot on its way to another node, step by step, as `CLUSTER SETSLOT` does it

    def begin_migration(self, key: str, target: RedisServer) -> RedisServer:
        """The slot of this key is migrating from now on; returns its source."""
        source, slot = self.owner(key), key_slot(key.encode())
        self._ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", self._id(source))
        self._ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", self._id(target))
        return source

    def move_keys(self, key: str, source: RedisServer, target: RedisServer, count: int) -> int:
        """Move so many keys of the slot; returns how many there were to move."""
        slot = key_slot(key.encode())
        names = self._ask(source, "CLUSTER", "GETKEYSINSLOT", slot, count)
        if names:
            where = (target.host, target.port, "", 0, 5000, "KEYS")
            self._ask(source, "MIGRATE", *where, *names)
        return len(names)

    def end_migration(self, key: str, target: RedisServer) -> None:
        """The slot belongs to the target; all nodes are told."""
        slot = key_slot(key.encode())
        for node in [target, *(node for node in self.nodes if node is not target)]:
            self._ask(node, "CLUSTER", "SETSLOT", slot, "NODE", self._id(target))

    # --- within

    def _node(self) -> RedisServer:
        cluster = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
        quick = ("--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no")
        return RedisServer(users=self._users, settings=(*cluster, *quick, *self._settings))

    def _meet(self) -> None:
        masters = self.nodes[: self._masters]
        for number, node in enumerate(masters):
            first, last = number * SLOTS // len(masters), (number + 1) * SLOTS // len(masters) - 1
            self._ask(node, "CLUSTER", "ADDSLOTSRANGE", first, last)
            self._ask(node, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes:
            if self._announce is not None:
                self._ask(node, "CONFIG", "SET", *self._announce(node))
            bus = self._ask(node, "CONFIG", "GET", "cluster-port")["cluster-port"]
            self._ask(masters[0], "CLUSTER", "MEET", node.host, node.port, bus)
        for number, replica in enumerate(self.nodes[self._masters :]):
            master = self._id(masters[number % len(masters)])
            wait_until(partial(self._follows, replica, master), "a replica", MEETING_SECONDS)
        self.wait_healthy()

    def _follows(self, replica: RedisServer, master: str) -> bool:
        try:
            self._ask(replica, "CLUSTER", "REPLICATE", master)
        except redis.ResponseError:  # the master is not known yet
            return False
        return True

    def _is_healthy(self, node: RedisServer) -> bool:
        try:
            info = self._ask(node, "CLUSTER", "INFO")
        except redis.RedisError:  # it is not up (again) yet
            return False
        known = f"cluster_known_nodes:{len(self.nodes)}"
        return "cluster_state:ok" in info and known in info and "cluster_slots_ok:16384" in info

    def _id(self, node: RedisServer) -> str:
        return str(self._ask(node, "CLUSTER", "MYID"))

    def _ask_any(self, *words: Any) -> Any:
        for node in self.nodes[:-1]:
            try:
                return self._ask(node, *words)
            except redis.ConnectionError:
                continue  # it was killed
        return self._ask(self.nodes[-1], *words)

    @staticmethod
    def _ask(node: RedisServer, *words: Any) -> Any:
        with node.client() as client:
            client.response_callbacks.clear()
            return client.execute_command(*words)

    def __enter__(self) -> RedisCluster:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
