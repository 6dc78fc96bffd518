"""A drained queue that can be set up again in milliseconds, and what must hold of it in the end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import redis

from bullmq_operator.domain.counts import RetirementOutcome
from bullmq_operator.domain.names import Backend, QueueId, RedisSource
from bullmq_operator.queues import keys
from bullmq_operator.queues.connection import (
    SOCKET_SECONDS,
    ConnectionSettings,
    RedisConnection,
    connect,
)
from bullmq_operator.queues.inventory import take_inventory
from bullmq_operator.queues.retirement import FIRST_SLICE, retire_queue, sweep_recreated
from devcluster.hand import Hand
from devcluster.redis_server import RedisServer

NAME = "orders/v1"
QUEUE = QueueId(Backend("shop", RedisSource(url="redis://example")), "bull", NAME)
BASE = QUEUE.base
OTHER = "parcels"
"""Where flows have their other half."""
NEIGHBOUR = "orders/v10"
SHARING = "bull:orders/v1", "sub"
"""A queue whose prefix holds a colon, so that its keys have our base."""
COMPLETED, FAILED = FIRST_SLICE + 30, 3
KNOWN_ID = "order-17"
"""Of a finished job that somebody named."""
SETTINGS = {"concurrency": "1"}
ENOUGH_TRIES = 6

_TO_WORK_ON = ("delayed", "wait", "prioritized", "paused")

Dump = dict[bytes, tuple[bytes, int]]


@dataclass
class Stage:
    """One Redis, one hand in it, and the ledger of what the hand was promised."""

    server: RedisServer
    hand: Hand
    url: str
    """Of Redis as the operator sees it: through the wire, or straight."""
    raw: redis.Redis = field(init=False)
    binary: redis.Redis = field(init=False)
    owed: set[str] = field(default_factory=set)
    _drained: Dump = field(default_factory=dict)
    _foreign: dict[bytes, bytes] = field(default_factory=dict)
    _tokens: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.raw = self.server.client()
        self.binary = redis.Redis(host=self.server.host, port=self.server.port)

    def close(self) -> None:
        """Let go of Redis."""
        self.raw.close()
        self.binary.close()

    # --- the scene -------------------------------------------------------------------------------

    def build(self) -> None:
        """Fill the queue by BullMQ, with finished jobs and residue of every kind; remember it."""
        for name in (NAME, OTHER, NEIGHBOUR):
            self.hand.do(name, "open")
        opts = {"deduplication": {"id": "sent", "ttl": 3_600_000}, "removeOnComplete": True}
        self.hand.do(NAME, "add", "job", {"token": "once"}, opts)
        jobs = [{"name": "job", "data": {"token": f"old{i}"}} for i in range(COMPLETED + FAILED)]
        self.hand.do(NAME, "addBulk", jobs)
        self.hand.do(NAME, "add", "job", {"token": "known"}, {"jobId": KNOWN_ID})
        self.hand.do(NAME, "process", COMPLETED + 2)
        self.hand.do(NAME, "process", FAILED, {"fail": True})
        self.hand.do(NAME, "job", "5", "log", "a line")
        self.raw.hset(f"{BASE}meta", mapping=SETTINGS)
        self.raw.set(f"{BASE}77:lock", "gone")  # what a worker that died long ago leaves behind
        self.hand.do(NEIGHBOUR, "addBulk", [{"name": "job", "data": {"token": "far"}}] * 3)
        self.hand.do(NEIGHBOUR, "process", 2)
        prefix, name = SHARING
        with Hand(self.server.url, prefix=prefix) as sharing:
            sharing.do(name, "addBulk", [{"name": "job", "data": {"token": "near"}}] * 3)
            sharing.do(name, "process", 1, {"fail": True})
        self._drained = self._dump()
        self.set()
        self._foreign = self._digest_of_neighbours()

    def set(self) -> None:
        """The queue as it was built; nothing owed, nothing heard."""
        with self.binary.pipeline(transaction=False) as pipe:
            pipe.flushall()
            for key, (value, ttl) in self._drained.items():
                pipe.restore(key, max(ttl, 0), value)
            pipe.execute()
        for name in (NAME, OTHER):
            self.hand.do(name, "forget")
        self.hand.done.clear()
        self.owed.clear()

    def _dump(self) -> Dump:
        names = self._names()
        with self.binary.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.dump(name)
                pipe.pttl(name)
            values = pipe.execute()
        return dict(zip(names, zip(values[::2], values[1::2], strict=True), strict=True))

    def snapshot(self) -> dict[bytes, bytes]:
        """Every value, as Redis's own digest."""
        return self._digest(self._names())

    def _digest(self, names: list[bytes]) -> dict[bytes, bytes]:
        with self.binary.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.execute_command("DEBUG", "DIGEST-VALUE", name)
            return dict(zip(names, (digest for [digest] in pipe.execute()), strict=True))

    def _digest_of_neighbours(self) -> dict[bytes, bytes]:
        return self._digest([name for name in self._names() if _is_foreign(name)])

    def _names(self) -> list[bytes]:
        return cast("list[bytes]", list(self.binary.scan_iter(count=1000)))

    # --- producers and workers -------------------------------------------------------------------

    def token(self) -> str:
        """What makes a job recognisable, whatever its id. From now on it is owed."""
        token = f"t{next(self._tokens)}"
        self.owed.add(token)
        return token

    def add(self, queue: str = NAME, /, **opts: Any) -> Any:
        """A producer's add, acknowledged when this returns."""
        return self.hand.do(queue, "add", "job", {"token": self.token()}, opts)

    def job(self, queue: str = NAME, **more: Any) -> dict[str, Any]:
        """A job for addBulk and flows."""
        return {"name": "job", "queueName": queue, "data": {"token": self.token()}, **more}

    def do(self, what: str, *args: Any) -> Any:
        """A step on our queue."""
        return self.hand.do(NAME, what, *args)

    def work_off(self) -> None:
        """All that people and workers can do to end what is unfinished."""
        used = [name for name in (NAME, OTHER) if self.raw.exists(f"bull:{name}:id")]
        for name in used:  # a queue without jobs has nothing to end: no handle makes it anew
            self._let_go(name)
        for _ in range(3):  # a parent comes after its children, wherever they are
            for name in used:
                if self.raw.exists(*(f"bull:{name}:{state}" for state in _TO_WORK_ON)):
                    self.hand.do(name, "promoteJobs")
                    self.hand.do(name, "process", 100)

    def _let_go(self, name: str) -> None:
        if self.raw.exists(f"bull:{name}:active"):
            while self.hand.do(name, "finish") is not None:
                pass
        if self.raw.exists(f"bull:{name}:repeat"):
            self.hand.do(name, "unschedule")
        if self.raw.hexists(f"bull:{name}:meta", "paused"):
            self.hand.do(name, "resume")

    # --- the operator ----------------------------------------------------------------------------

    def connect(self, url: str = "") -> RedisConnection:
        """As a process that has just started does."""
        return connect(ConnectionSettings(url=url or self.url))

    async def retire(
        self, connection: RedisConnection, patience: float = SOCKET_SECONDS
    ) -> RetirementOutcome:
        """All calls of one retirement."""
        inventory = await take_inventory(connection, QUEUE)
        outcome = await retire_queue(
            connection, QUEUE, inventory, inventory.stamp, patience=patience
        )
        if outcome.closed:
            await sweep_recreated(connection, QUEUE)
        return outcome

    async def retire_anew(
        self, url: str = "", patience: float = SOCKET_SECONDS
    ) -> RetirementOutcome:
        """By a process that knows nothing of those before it."""
        connection = self.connect(url)
        try:
            return await self.retire(connection, patience)
        finally:
            await connection.close()

    # --- what must hold --------------------------------------------------------------------------

    def keys(self) -> set[str]:
        """What is left of our queue."""
        near = f"{SHARING[0]}:{SHARING[1]}:"
        found = cast("Iterator[str]", self.raw.scan_iter(f"{BASE}*", count=1000))
        return {key for key in found if not key.startswith(near)}

    def looks_retired(self) -> bool:
        """Whether the poll would see nothing of the queue any more."""
        return not self.raw.exists(*(f"{BASE}{name}" for name in keys.FIXED))

    async def converge(self) -> int:
        """The rest of the story; after how many retirements nothing was left. Fails on a lost job,
        a touched neighbour, residue that nobody would look for, and on an endless story."""
        outcomes: list[RetirementOutcome] = []
        while len(outcomes) < ENOUGH_TRIES:
            self.work_off()
            left = self.keys()
            if not left:
                self.check()
                return len(outcomes)
            assert not self.looks_retired(), f"left behind unseen: {left}"
            outcomes.append(await self.retire_anew(self.server.url))
        raise AssertionError(f"still there: {sorted(self.keys())[:10]} after {outcomes}")

    def check(self) -> None:
        """Nothing is lost, nothing foreign was touched."""
        lost = self.owed - set(self.hand.done)
        assert not lost, f"acknowledged and never worked on: {lost}"
        now = self._digest_of_neighbours()
        touched = {key for key, value in now.items() ^ self._foreign.items()}
        assert not touched, f"a neighbour was touched: {touched}"


def _is_foreign(key: bytes) -> bool:
    near = f"{SHARING[0]}:{SHARING[1]}:".encode()
    return key.startswith((f"bull:{NEIGHBOUR}:".encode(), near))
