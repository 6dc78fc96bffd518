"""python -m benchmarks.poll [--queues 10000] [--rounds 5]

One beat of the operator's poll, as the operator does it: all queues of all QueueVersions are read,
compared with what was last read, and families woken. Beside it, in the same rounds and of the same
queues, the Python BullMQ's Queue.getJobCounts: one queue after the other, and eight at a time (the
operator's pool has eight connections); making its Queue objects is not timed. It tells less: not
the paused list's jobs unless asked, no schedulers, no meta, no id, no stamp.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import redis
import redis.asyncio
from bullmq import Queue

from benchmarks import machine
from benchmarks.blocking import COLUMNS, Blocks, watched
from benchmarks.machine import redis_cpu_ms
from benchmarks.poll.fleet import Fleet
from benchmarks.report import say, show
from bullmq_operator.queues.connection import ConnectionSettings, connect
from bullmq_operator.queues.counts import read_queues
from devcluster.redis_server import RedisServer

GOAL_MS = 100.0
"""One beat of 10,000 queues."""
SIDE_BY_SIDE = 8

Act = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class Way:
    """One way to look at all queues, and what it took."""

    name: str
    act: Act
    wall: list[float] = field(default_factory=list)
    own_cpu: list[float] = field(default_factory=list)
    redis_cpu: list[float] = field(default_factory=list)
    blocks: Blocks = field(default_factory=Blocks)

    async def once(self, client: redis.Redis, url: str) -> None:
        """Milliseconds of wall time, of this process's and of Redis's processor."""
        with watched(client, url, self.blocks):
            redis_began = redis_cpu_ms(client)
            own_began, began = time.process_time(), time.perf_counter()
            await self.act()
            self.wall.append((time.perf_counter() - began) * 1000)
            self.own_cpu.append((time.process_time() - own_began) * 1000)
            self.redis_cpu.append(redis_cpu_ms(client) - redis_began)

    def row(self, first: float) -> tuple[str, ...]:
        """Medians, and how many times the first way's wall time it takes."""
        wall = statistics.median(self.wall)
        cpus = statistics.median(self.own_cpu), statistics.median(self.redis_cpu)
        figures = (f"{figure:,.0f}" for figure in (wall, min(self.wall), *cpus))
        return self.name, *figures, *self.blocks.row(), f"{wall / first:,.1f}"


def fill(client: redis.Redis, names: Sequence[str]) -> None:
    """Queues as BullMQ v6 leaves them: all drained with history, each twentieth with work."""
    pipe = client.pipeline(transaction=False)
    for number, name in enumerate(names):
        base = f"bull:{name}:"
        pipe.set(f"{base}id", 20)
        pipe.hset(f"{base}meta", mapping={"opts.maxLenEvents": 10000, "version": "bullmq:6"})
        pipe.xadd(f"{base}events", {"event": "completed", "jobId": "20"})
        pipe.zadd(f"{base}completed", {str(job): job for job in range(18)})
        if number % 20 == 0:
            pipe.rpush(f"{base}wait", "19", "20")
            pipe.zadd(f"{base}delayed", {"21": 1})
        if number % 1000 == 999:
            pipe.execute()
    pipe.execute()


async def measure(server: RedisServer, client: redis.Redis, count: int, rounds: int) -> list[Way]:
    """Every way once a round, so that a slow moment of the machine meets them all."""
    fleet = Fleet(server.url, count)
    names = fleet.queue_names()
    fill(client, names)
    connection = connect(ConnectionSettings(url=server.url))
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        server.url, max_connections=SIDE_BY_SIDE, decode_responses=True
    )
    shared = redis.asyncio.Redis.from_pool(pool)
    queues = [Queue(name, {"connection": shared}) for name in names]
    bases = [f"bull:{name}:" for name in names]

    async def one_by_one() -> None:
        for queue in queues:
            await queue.getJobCounts()

    async def side_by_side() -> None:
        waiting = iter(queues)

        async def work() -> None:
            for queue in waiting:
                await queue.getJobCounts()

        await asyncio.gather(*(work() for _ in range(SIDE_BY_SIDE)))

    ways = [
        Way("operator: a beat", fleet.beat),
        Way("operator: a beat, one version changed", fleet.change_and_beat),
        Way("operator: every queue with its stamp", lambda: read_queues(connection, bases, bases)),
        Way("BullMQ: getJobCounts, one by one", one_by_one),
        Way(f"BullMQ: getJobCounts, {SIDE_BY_SIDE} at a time", side_by_side),
    ]
    for way in ways[:3]:
        await way.act()  # loads the scripts, opens the connections
    await queues[0].getJobCounts()
    for _ in range(rounds):
        for way in ways:
            await way.once(client, server.url)
    fleet.check()
    await fleet.close()
    await connection.close()
    await shared.aclose()
    return ways


def main(arguments: Sequence[str] | None = None) -> None:
    """Arguments, a Redis of our own, the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.poll")
    parser.add_argument("--queues", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(arguments)
    with RedisServer() as server, server.client() as client:
        ways = asyncio.run(measure(server, client, given.queues, given.rounds))
        first = statistics.median(ways[0].wall)
        columns = ("way", "wall ms", "best", "own CPU ms", "Redis CPU ms", *COLUMNS, "times")
        title = f"One look at {given.queues:,} queues, medians of {given.rounds}"
        show(title, columns, [way.row(first) for way in ways])
        say(machine.describe(client))
    goal = GOAL_MS * given.queues / 10_000
    say(f"goal {goal:.0f} ms for a beat: {'reached' if first < goal else 'MISSED'}")


if __name__ == "__main__":
    main()
