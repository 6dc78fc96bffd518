"""python -m benchmarks.sweep [--foreign 1000000] [--residue 10000] [--rounds 3]

A drained queue with leftovers (keys of deduplication, remains of jobs that were removed) shares a
Redis with very many keys of others, some of queues whose names only begin like ours. The operator
walks over all keys and removes its own. Beside it, in turns, what people do by hand: SCAN with a
pattern, UNLINK what it finds. The others' keys are digested by Redis before and after.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import redis

from benchmarks import machine
from benchmarks.blocking import COLUMNS, Blocks, watched
from benchmarks.report import say, show
from bullmq_operator.domain.names import Backend, QueueId, RedisSource
from bullmq_operator.queues.connection import ConnectionSettings, connect
from bullmq_operator.queues.inventory import take_inventory
from bullmq_operator.queues.retirement import retire_queue
from devcluster import bullmq
from devcluster.redis_server import RedisServer

QUEUE = "orders/v1"
NEIGHBOURS = ("orders/v10", "orders/v1-eu")
BATCH = 10_000
FOREIGN = "for i = ARGV[1], ARGV[2] do redis.call('SET', 'session:' .. i, i) end"
RESIDUE = """
for i = ARGV[2], ARGV[3] do
  redis.call('SET', ARGV[1] .. 'de:order-' .. i, i, 'EX', 86400)
  redis.call('RPUSH', ARGV[1] .. 'gone-' .. i .. ':logs', 'written too late')
end
"""


@dataclass(slots=True)
class Runs:
    """One way to clear up."""

    name: str
    act: Callable[[str], None]
    seconds: list[float] = field(default_factory=list)
    blocks: Blocks = field(default_factory=Blocks)
    harmed: int = 0

    def row(self) -> tuple[str, ...]:
        """The median, and how often a key of somebody else was changed."""
        took = f"{statistics.median(self.seconds):.2f}"
        return self.name, took, *self.blocks.row(), f"{self.harmed} of {len(self.seconds)}"


def operator(url: str) -> None:
    """Inventory, slices, sweep and close."""
    asyncio.run(_retire(url))


async def _retire(url: str) -> None:
    connection = connect(ConnectionSettings(url=url))
    queue = QueueId(Backend("shop", RedisSource()), "bull", QUEUE)
    inventory = await take_inventory(connection, queue)
    outcome = await retire_queue(connection, queue, inventory, inventory.stamp)
    assert outcome.closed, outcome
    await connection.close()


def by_hand(url: str) -> None:
    """The loop that every handbook has."""
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter(match=f"bull:{QUEUE}*", count=1000):
            client.unlink(key)


def in_batches(script: str, client: redis.Redis, count: int, *words: str) -> None:
    """So that filling does not block for seconds either."""
    for first in range(1, count + 1, BATCH):
        client.eval(script, 0, *words, first, min(first + BATCH - 1, count))


def fill_ours(client: redis.Redis, url: str, residue: int) -> None:
    """Three finished jobs, and what others left behind."""
    bullmq.run(url, QUEUE, ["addBulk", bullmq.jobs(3)], ["process", 3])
    in_batches(RESIDUE, client, residue, f"bull:{QUEUE}:")


def fill_neighbours(client: redis.Redis, url: str) -> None:
    """Live queues of others; afresh each time, since not every way spares them."""
    for name in NEIGHBOURS:
        client.delete(*(cast(list[str], client.keys(f"bull:{name}:*")) or ["none"]))
        bullmq.run(url, name, ["addBulk", bullmq.jobs(5)])


def patient(url: str) -> redis.Redis:
    """A client for filling and for the digest, which take a while."""
    return redis.Redis.from_url(url, decode_responses=True, socket_timeout=300)


def digest(client: redis.Redis) -> str:
    """Of all keys and values, as Redis computes it."""
    return str(cast(Any, client).execute_command("DEBUG", "DIGEST"))


def once(client: redis.Redis, url: str, residue: int, runs: Runs) -> None:
    """Fill, clear up, compare."""
    fill_neighbours(client, url)
    before = digest(client)
    fill_ours(client, url, residue)
    with watched(client, url, runs.blocks):
        began = time.perf_counter()
        runs.act(url)
        runs.seconds.append(time.perf_counter() - began)
    assert not client.keys(f"bull:{QUEUE}:*")
    runs.harmed += digest(client) != before


def main(arguments: Sequence[str] | None = None) -> None:
    """Arguments, a Redis of our own, the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep")
    parser.add_argument("--foreign", type=int, default=1_000_000)
    parser.add_argument("--residue", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    ways = [Runs("operator", operator), Runs("SCAN by pattern and UNLINK", by_hand)]
    with RedisServer() as server, patient(server.url) as client:
        in_batches(FOREIGN, client, given.foreign)
        for _ in range(given.rounds):
            for runs in ways:
                once(client, server.url, given.residue, runs)
        title = f"{2 * given.residue:,} keys of residue beside {given.foreign:,} of others"
        columns = ("way", "seconds", *COLUMNS, "others' keys changed")
        show(title, columns, [runs.row() for runs in ways])
        say(machine.describe(client))
    assert ways[0].harmed == 0, "the operator changed a key that is not its own"


if __name__ == "__main__":
    main()
