"""python -m benchmarks.archive [--jobs 100000]

One queue of finished jobs is archived into a folder, read again as the operator does, and restored
into the empty Redis. Memory is that of this process, which is the operator's own code and nothing
else; run it with more jobs to see whether it grows with them. There is no peer: BullMQ has neither.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import redis

from benchmarks import machine
from benchmarks.blocking import COLUMNS, Blocks, watched
from benchmarks.report import percentile, say, show
from bullmq_operator.archive.destination import parse
from bullmq_operator.archive.restoring import Target, restore
from bullmq_operator.archive.writing import Order, archive_queue
from bullmq_operator.domain.names import Backend, QueueId, RedisSource, VersionKey
from bullmq_operator.queues.connection import ConnectionSettings, RedisConnection, connect
from bullmq_operator.queues.inventory import take_inventory
from devcluster.redis_server import RedisServer

QUEUE = QueueId(Backend("shop", RedisSource(url="redis://example")), "bull", "orders/v1")
VERSION = VersionKey("shop", "orders-v1")
FIRST_MS = 1_795_441_190_979
GOAL_MS = 2.0
"""For which one call may keep Redis from others."""
BATCH = 5000
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class Run:
    """What one way took."""

    name: str
    wall: float = 0.0
    cpu: float = 0.0
    redis_cpu: float = 0.0
    peak: int = 0
    """Megabytes of resident memory."""
    lags: list[float] = field(default_factory=list)
    """Milliseconds for which the event loop was late."""
    blocks: Blocks = field(default_factory=Blocks)

    def row(self, jobs: int) -> tuple[str, ...]:
        """For the table."""
        figures = (f"{jobs / self.wall:,.0f}", f"{self.wall:,.1f}", f"{self.cpu:,.1f}")
        more = (f"{self.redis_cpu:,.1f}", f"{self.peak:,}", f"{percentile(self.lags, 0.99):,.0f}")
        return self.name, *figures, *more, *self.blocks.row()


def fill(client: redis.Redis, jobs: int) -> None:
    """As BullMQ v6 leaves a drained queue, with 0.3 KB of data a job."""
    base = QUEUE.base
    for start in range(0, jobs, BATCH):
        pipe = client.pipeline(transaction=False)
        for number in range(start, min(start + BATCH, jobs)):
            done = FIRST_MS + number
            items = [{"sku": f"A-{number % 997}-{place}", "count": place + 1} for place in range(5)]
            data = {"orderId": number, "to": f"user{number}@example.com", "items": items}
            fields = {
                "name": "send",
                "data": json.dumps(data, separators=(",", ":")),
                "opts": '{"attempts":3,"backoff":{"type":"exponential","delay":1000}}',
                "timestamp": done - 20,
                "delay": 0,
                "priority": 0,
                "processedOn": done - 10,
                "finishedOn": done,
                "atm": 1,
                "ats": 1,
                "returnvalue": '{"sent":true}',
            }
            pipe.hset(f"{base}{number + 1}", mapping=fields)
            pipe.zadd(f"{base}completed", {str(number + 1): done})
        pipe.execute()
    client.set(f"{base}id", jobs)
    client.hset(f"{base}meta", mapping={"opts.maxLenEvents": "10000", "version": "bullmq:6"})
    client.xadd(f"{base}events", {"event": "completed", "jobId": str(jobs)})


def resident() -> int:
    """Bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


@contextmanager
def measured(run: Run, client: redis.Redis, url: str) -> Iterator[None]:
    """Take in what happens meanwhile; the memory by a thread of its own."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            run.peak = max(run.peak, resident() // 1_000_000)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with watched(client, url, run.blocks):
        redis_began, cpu_began, began = redis_cpu(client), time.process_time(), time.perf_counter()
        try:
            yield
        finally:
            run.wall = time.perf_counter() - began
            run.cpu = time.process_time() - cpu_began
            run.redis_cpu = redis_cpu(client) - redis_began
            ended.set()
            watcher.join()


def redis_cpu(client: redis.Redis) -> float:
    """Seconds that the server has used so far."""
    cpu = client.info("cpu")
    return float(cpu["used_cpu_user"] + cpu["used_cpu_sys"])


async def beat(run: Run) -> None:
    """How late the loop is: others use it too."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.01)
        run.lags.append((time.perf_counter() - began - 0.01) * 1000)


async def measure(server: RedisServer, client: redis.Redis, folder: str, jobs: int) -> list[Run]:
    """Both ways, once; and that all came back."""
    connection = connect(ConnectionSettings(url=server.url))
    archive, back = Run("archive, and read it again"), Run("read, look, and restore")
    url = await _archive(archive, connection, server, client, folder)
    client.flushall()
    head, _, name = url.rpartition("/")
    beating = asyncio.create_task(beat(back))
    with measured(back, client, server.url):
        restored = await restore(connection, parse(head), name, Target(QUEUE.base))
    beating.cancel()
    assert restored.written.total() == client.zcard(f"{QUEUE.base}completed") == jobs
    await connection.close()
    return [archive, back]


async def _archive(
    run: Run, connection: RedisConnection, server: RedisServer, client: redis.Redis, folder: str
) -> str:
    order = Order(QUEUE, VERSION, await take_inventory(connection, QUEUE))
    beating = asyncio.create_task(beat(run))
    with measured(run, client, server.url):
        outcome = await archive_queue(
            connection, order, parse(f"file://{folder}"), datetime.now(UTC)
        )
    beating.cancel()
    return outcome.url


def main(arguments: Sequence[str] | None = None) -> None:
    """Arguments, a Redis of our own, the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.archive")
    parser.add_argument("--jobs", type=int, default=100_000)
    jobs = parser.parse_args(arguments).jobs
    with (
        RedisServer() as server,
        server.client() as client,
        tempfile.TemporaryDirectory() as folder,
    ):
        fill(client, jobs)
        at_start = resident() // 1_000_000
        runs = asyncio.run(measure(server, client, folder, jobs))
        figures = ("jobs/s", "wall s", "own CPU s", "Redis CPU s", "peak MB", "loop p99 ms")
        title = f"{jobs:,} jobs; this process had {at_start} MB before"
        show(title, ("way", *figures, *COLUMNS), [run.row(jobs) for run in runs])
        (size,) = (path.stat().st_size for path in Path(folder).rglob("*.gz"))
        say(f"the file has {size / 1e6:,.1f} MB")
        say(machine.describe(client))
    longest = [percentile(run.blocks.commands, 0.99) for run in runs]
    missed = [block for block in longest if block > GOAL_MS]
    say(f"goal {GOAL_MS:.0f} ms for p99 of commands: {'MISSED' if missed else 'reached'}")


if __name__ == "__main__":
    main()
