"""What schedules on real Redis and BullMQ share: a server, a wire, processes that can be killed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any, TypeVar

import redis

from devcluster.hand import Hand, HandError
from devcluster.redis_server import RedisServer
from devcluster.waiting import wait_until
from tests.chaos.wire import Wire

T = TypeVar("T")
NEIGHBOUR = "orders/v10"
PRODUCER = "producer"
SOON = {"stalledInterval": 100, "lockDuration": 500, "maxStalledCount": 1000}
"""Options of a worker that finds stalled jobs quickly."""


class Ground:
    """Started once; `clear` makes it new for the next schedule."""

    def __init__(self) -> None:
        # What Redis itself forgets when it is killed is not the operator's loss.
        self.server = RedisServer(settings=("--appendfsync", "always")).start()
        self.raw: redis.Redis = self.server.client()
        self._loop = asyncio.new_event_loop()
        self.wire = Wire(self.server.host, self.server.port)
        self.run(self.wire.__aenter__())
        self._hands: dict[str, Hand] = {}
        self._told: list[str] = []
        self._before: dict[str, str] = {}

    def close(self) -> None:
        """End everything."""
        for hand in self._hands.values():
            hand.close()
        self.run(self.wire.__aexit__(None, None, None))
        self._loop.close()
        self.raw.close()
        self.server.stop()

    def clear(self) -> None:
        """An empty Redis but for a neighbour."""
        self.wire.reset()
        self.raw.flushall()
        for hand in self._hands.values():
            for queue in ("orders/v1", "orders/v2"):
                hand.do(queue, "forget")
        self.hand(PRODUCER).do(NEIGHBOUR, "addBulk", [{"name": "job", "data": {"token": "far"}}])
        self._before = self._neighbour()
        self._told.clear()
        for hand in self._hands.values():
            hand.done.clear()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The operator's part: it and the wire live in one loop."""
        return self._loop.run_until_complete(work)

    def hand(self, name: str) -> Hand:
        """A process, started when it is needed."""
        if name not in self._hands:
            self._hands[name] = Hand(self.server.url)
        return self._hands[name]

    def kill(self, name: str) -> None:
        """SIGKILL, with whatever it has in hand."""
        hand = self._hands.pop(name, None)
        if hand is not None:
            self._told += hand.kill()

    def restart_redis(self) -> None:
        """Killed, and back with its data, and with all clients connected again."""
        self.server.restart(keep_data=True)
        for hand in self._hands.values():
            wait_until(lambda hand=hand: _answers(hand), "a client to connect again")

    @property
    def done(self) -> set[str]:
        """Tokens of all jobs that were worked on."""
        return {*self._told, *(token for hand in self._hands.values() for token in hand.done)}

    def stored(self) -> set[str]:
        """Tokens of all jobs that are in Redis, in whatever state."""
        names = list(self.raw.scan_iter("bull:*", count=1000))
        with self.raw.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hget(name, "data")
            found = pipe.execute(raise_on_error=False)
        return {json.loads(data).get("token", "") for data in found if isinstance(data, str)}

    def recover(self, queue: str, worker: str) -> None:
        """Jobs of a killed worker: their locks have expired, and another worker finds them."""
        active = f"bull:{queue}:active"
        for job in self.raw.lrange(active, 0, -1):
            self.raw.delete(f"bull:{queue}:{job}:lock")
        self.hand(worker).do(queue, "attach", SOON)
        wait_until(lambda: not self.raw.exists(active), "stalled jobs to be worked on")
        self.hand(worker).do(queue, "detach")

    def check_neighbour(self) -> None:
        """Not a bit of it has changed."""
        assert self._neighbour() == self._before, "the neighbour was touched"

    def keys(self, queue: str) -> list[str]:
        """What is there of a queue."""
        return sorted(self.raw.scan_iter(f"bull:{queue}:*", count=1000))

    def _neighbour(self) -> dict[str, str]:
        return {
            key: str(self.raw.execute_command("DEBUG", "DIGEST-VALUE", key))
            for key in self.keys(NEIGHBOUR)
        }


def _answers(hand: Hand) -> bool:
    try:
        for queue in ("orders/v1", "orders/v2"):
            hand.do(queue, "getJobCounts")
    except HandError:
        return False
    return True
