"""python -m benchmarks.obliterate [--jobs 100000] [--rounds 5]

A drained queue with many finished jobs is deleted, once by the operator (inventory, slices, sweep
and close, as it does it), once by `queue.obliterate()` of Node's BullMQ v6, in turns, on one
server. Node's time is taken inside its process, with its connection open. Then the same while a
producer adds jobs on a handle that it had opened before, of each BullMQ: what was acknowledged and
is nowhere is lost.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import redis

from benchmarks import machine
from benchmarks.blocking import COLUMNS, Blocks, watched
from benchmarks.machine import redis_cpu_ms
from benchmarks.obliterate.bullmq_process import Peer
from benchmarks.obliterate.filling import fill
from benchmarks.obliterate.race import race
from benchmarks.report import say, show
from bullmq_operator.domain.names import Backend, QueueId, RedisSource
from bullmq_operator.queues.connection import ConnectionSettings, RedisConnection, connect
from bullmq_operator.queues.inventory import take_inventory
from bullmq_operator.queues.retirement import retire_queue
from devcluster.redis_server import RedisServer

QUEUE = "orders/v1"
KINDS = {"plain": False, "with a log each": True}


@dataclass(slots=True)
class Runs:
    """One way to delete one kind of jobs."""

    name: str
    milliseconds: list[float] = field(default_factory=list)
    redis_cpu: list[float] = field(default_factory=list)
    """Milliseconds of Redis's processor: what is left of the comparison on a busy machine."""
    blocks: Blocks = field(default_factory=Blocks)

    def rate(self, jobs: int) -> float:
        """Jobs a second, by the median."""
        return jobs / statistics.median(self.milliseconds) * 1000


async def retire(connection: RedisConnection) -> tuple[float, float]:
    """Milliseconds of the inventory, and of the rest."""
    queue = QueueId(Backend("shop", RedisSource()), "bull", QUEUE)
    began = time.perf_counter()
    inventory = await take_inventory(connection, queue)
    walked = time.perf_counter()
    outcome = await retire_queue(connection, queue, inventory, inventory.stamp)
    ended = time.perf_counter()
    assert outcome.closed, outcome
    return (walked - began) * 1000, (ended - walked) * 1000


async def in_turns(
    client: redis.Redis, url: str, jobs: int, rounds: int, *, logs: bool
) -> tuple[Runs, Runs, Runs]:
    """The operator, its part after the inventory, and Node."""
    connection = connect(ConnectionSettings(url=url))
    ours, deleting, node = Runs("operator"), Runs("  of it deletion"), Runs("Node obliterate")
    with Peer(url) as peer:
        for number in range(-1, rounds):  # the first is to warm up
            warm = number >= 0
            fill(client, url, QUEUE, jobs if warm else min(jobs, 1000), logs=logs)
            with watched(client, url, ours.blocks if warm else Blocks()):
                began = redis_cpu_ms(client)
                inventory, rest = await retire(connection)
                our_cpu = redis_cpu_ms(client) - began
            fill(client, url, QUEUE, jobs if warm else min(jobs, 1000), logs=logs)
            peer.open(QUEUE)
            with watched(client, url, node.blocks if warm else Blocks()):
                began = redis_cpu_ms(client)
                took = peer.obliterate(QUEUE)
                node_cpu = redis_cpu_ms(client) - began
            if warm:
                ours.redis_cpu.append(our_cpu)
                node.redis_cpu.append(node_cpu)
                ours.milliseconds.append(inventory + rest)
                deleting.milliseconds.append(rest)
                node.milliseconds.append(took)
    await connection.close()
    return ours, deleting, node


def speed(client: redis.Redis, url: str, jobs: int, rounds: int) -> None:
    """Both kinds of jobs."""
    rows = []
    for kind, logs in KINDS.items():
        ours, deleting, node = asyncio.run(in_turns(client, url, jobs, rounds, logs=logs))
        peer = node.rate(jobs)
        for runs in (ours, deleting, node):
            rate = runs.rate(jobs)
            cpu = f"{statistics.median(runs.redis_cpu):,.0f}" if runs.redis_cpu else ""
            blocks = runs.blocks.row() if runs.redis_cpu else ("",) * len(COLUMNS)
            name = f"{kind}: {runs.name}"
            rows.append((name, f"{rate:,.0f}", f"{rate / peer:.2f}", cpu, *blocks))
    title = f"{jobs:,} finished jobs, medians of {rounds} in turns"
    show(title, ("way", "jobs/s", "× Node", "Redis CPU ms", *COLUMNS), rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Arguments, a Redis of our own, two tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.obliterate")
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("speed", "race"))
    given = parser.parse_args(arguments)
    with RedisServer() as server, server.client() as client:
        if given.only != "race":
            speed(client, server.url, given.jobs, given.rounds)
        if given.only != "speed":
            race(client, server.url, given.jobs, given.rounds)
        say(machine.describe(client))


if __name__ == "__main__":
    main()
