"""python -m benchmarks.poll [--queues 10000] [--rounds 5]

Reads the same queues of one Valkey, in turn, by the operator's one script and by the Python
BullMQ's Queue.getJobCounts. The latter is asked one queue after the other, and eight at a time
(the operator's pool has eight connections); making its Queue objects is not timed. It tells less:
not the paused list's jobs unless asked, no schedulers, no meta, no id, no stamp.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import redis
import redis.asyncio
from bullmq import Queue
from rich.console import Console
from rich.table import Table

from bullmq_operator.domain.counts import QueueReading
from bullmq_operator.queues.connection import ConnectionSettings, connect
from bullmq_operator.queues.counts import read_queues
from devcluster.redis_server import RedisServer

GOAL_MS = 100.0
"""One look at 10,000 queues."""
SIDE_BY_SIDE = 8


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


async def timed(act: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds of wall time."""
    began = time.perf_counter()
    await act()
    return (time.perf_counter() - began) * 1000


async def measure(url: str, names: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Every way once a round, so that a slow moment of the machine meets them all."""
    bases = [f"bull:{name}:" for name in names]
    connection = connect(ConnectionSettings(url=url))
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url, max_connections=SIDE_BY_SIDE, decode_responses=True
    )
    shared = redis.asyncio.Redis.from_pool(pool)
    queues = [Queue(name, {"connection": shared}) for name in names]

    async def operator_reads() -> None:
        readings = await read_queues(connection, bases)
        assert all(isinstance(reading, QueueReading) for reading in readings.values())

    async def operator_reads_with_stamps() -> None:
        await read_queues(connection, bases, frozenset(bases))

    async def bullmq_one_by_one() -> None:
        for queue in queues:
            await queue.getJobCounts()

    async def bullmq_side_by_side() -> None:
        waiting = iter(queues)

        async def work() -> None:
            for queue in waiting:
                await queue.getJobCounts()

        await asyncio.gather(*(work() for _ in range(SIDE_BY_SIDE)))

    ways: dict[str, Callable[[], Awaitable[object]]] = {
        "operator: read_queues": operator_reads,
        "operator: with every stamp": operator_reads_with_stamps,
        "bullmq: getJobCounts, one by one": bullmq_one_by_one,
        f"bullmq: getJobCounts, {SIDE_BY_SIDE} at a time": bullmq_side_by_side,
    }
    await operator_reads()  # loads the scripts and opens the connections of both
    await queues[0].getJobCounts()
    results: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, act in ways.items():
            results[name].append(await timed(act))
    await connection.close()
    await shared.aclose()
    return results


def show(results: dict[str, list[float]], count: int) -> None:
    """The medians, and what the machine is."""
    console = Console()
    table = Table(title=f"One look at {count:,} queues")
    for title in ("way", "median ms", "best ms", "worst ms", "µs a queue", "times the first"):
        table.add_column(title, justify="left" if title == "way" else "right")
    first = statistics.median(next(iter(results.values())))
    for name, times in results.items():
        median = statistics.median(times)
        cells = (median, min(times), max(times), median * 1000 / count, median / first)
        table.add_row(name, *(f"{cell:,.1f}" for cell in cells))
    console.print(table)
    console.print(f"{processor()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    goal = GOAL_MS * count / 10_000
    console.print(f"goal {goal:.0f} ms: {'reached' if first < goal else 'MISSED'}")


def processor() -> str:
    """Its name, as far as the system tells."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def main() -> None:
    """Arguments, a Redis of our own, the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.poll")
    parser.add_argument("--queues", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    names = [f"queue-{number}/v1" for number in range(arguments.queues)]
    with RedisServer() as server:
        with server.client() as client:
            fill(client, names)
        results = asyncio.run(measure(server.url, names, arguments.rounds))
    show(results, arguments.queues)


if __name__ == "__main__":
    main()
