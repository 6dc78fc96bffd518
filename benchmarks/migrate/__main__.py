"""python -m benchmarks.migrate [--jobs 50000] [--rounds 3] [--batch 1000]

A queue with many unfinished jobs is moved to another, once by the operator, once by Node's BullMQ
v6 with getJobs, addBulk and remove (peer.js says what it loses), in turns, on one server. Node's
time is taken inside its process, with its connections open.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import redis

from benchmarks import machine
from benchmarks.blocking import COLUMNS, Blocks, watched
from benchmarks.report import say, show
from bullmq_operator.domain.names import Backend, QueueId, RedisSource
from bullmq_operator.queues.connection import ConnectionSettings, connect
from bullmq_operator.queues.migration import migrate_queue
from devcluster import bullmq, tools
from devcluster.redis_server import RedisServer

SOURCE, TARGET = "orders/v1", "orders/v2"
HERE = Path(__file__).parent
BACKEND = Backend("shop", RedisSource())

KINDS: Final[Mapping[str, tuple[dict[str, Any], bool]]] = {
    "waiting": ({}, False),
    "waiting, a log each": ({}, True),
    "prioritized": ({"priority": 3}, False),
    "delayed": ({"delay": 3_600_000}, False),
}
"""Options of the jobs, and whether each has a line of log."""

GOAL_RATE, GOAL_BLOCK_MS = 50_000, 4.0

COPY = """
local base, source = ARGV[1], redis.call('HGETALL', ARGV[1] .. '1')
local score = redis.call('ZSCORE', base .. 'delayed', '1')
for id = tonumber(ARGV[2]), tonumber(ARGV[3]) do
  redis.call('HSET', base .. id, unpack(source))
  if ARGV[4] == '1' then redis.call('RPUSH', base .. id .. ':logs', 'did what was to be done') end
  if score then
    redis.call('ZADD', base .. 'delayed', score + id, id)
  elseif redis.call('EXISTS', base .. 'prioritized') == 1 then
    redis.call('ZADD', base .. 'prioritized', 3 * 0x100000000 + id, id)
  else
    redis.call('LPUSH', base .. 'wait', id)
  end
end
redis.call('SET', base .. 'id', ARGV[3])
"""
BATCH = 1000


@dataclass(slots=True)
class Runs:
    """One way to move one kind of jobs."""

    name: str
    milliseconds: list[float] = field(default_factory=list)
    blocks: Blocks = field(default_factory=Blocks)

    def rate(self, jobs: int) -> float:
        """Jobs a second, by the median."""
        return jobs / statistics.median(self.milliseconds) * 1000


def fill(client: redis.Redis, url: str, kind: str, count: int) -> None:
    """One job by BullMQ, copied as often as it takes; the target as its workers leave it."""
    options, logs = KINDS[kind]
    client.flushall()
    bullmq.run(url, TARGET, ["getJobCounts"])
    bullmq.run(url, SOURCE, ["addBulk", bullmq.jobs(1, data={"order": 4711}, opts=options)])
    base = f"bull:{SOURCE}:"
    if logs:
        client.rpush(f"{base}1:logs", "did what was to be done")
    for first in range(2, count + 1, BATCH):
        client.eval(COPY, 0, base, first, min(first + BATCH - 1, count), int(logs))


def unfinished(client: redis.Redis, queue: str) -> int:
    """Of all three kinds."""
    raw: Any = client
    base = f"bull:{queue}:"
    lists = raw.zcard(f"{base}prioritized") + raw.zcard(f"{base}delayed")
    return int(raw.llen(f"{base}wait") + lists)


async def by_operator(url: str) -> float:
    """Milliseconds, with the connection open."""
    connection = connect(ConnectionSettings(url=url))
    await connection.server()
    source, target = (QueueId(BACKEND, "bull", name) for name in (SOURCE, TARGET))
    began = time.perf_counter()
    outcome = await migrate_queue(connection, source, target, id_prefix="v1-")
    took = (time.perf_counter() - began) * 1000
    await connection.close()
    assert not outcome.left, outcome
    return took


@contextmanager
def node(url: str) -> Iterator[subprocess.Popen[str]]:
    """peer.js."""
    with subprocess.Popen(
        [str(tools.node()), str(HERE / "peer.js")],
        env=bullmq.environment() | {"REDIS_URL": url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(timeout=10)


def by_node(process: subprocess.Popen[str], batch: int) -> float:
    """Milliseconds."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({"from": SOURCE, "to": TARGET, "batch": batch}) + "\n")
    process.stdin.flush()
    return float(json.loads(process.stdout.readline())["ms"])


def in_turns(client: redis.Redis, url: str, kind: str, given: argparse.Namespace) -> list[Runs]:
    """The operator and Node."""
    ours, theirs = Runs("operator"), Runs("Node getJobs, addBulk, remove")
    with node(url) as process:
        for number in range(-1, given.rounds):  # the first is to warm up
            jobs = given.jobs if number >= 0 else min(given.jobs, 1000)
            for runs in (ours, theirs):
                fill(client, url, kind, jobs)
                with watched(client, url, runs.blocks if number >= 0 else Blocks()):
                    is_ours = runs is ours
                    took = (
                        asyncio.run(by_operator(url)) if is_ours else by_node(process, given.batch)
                    )
                assert (unfinished(client, SOURCE), unfinished(client, TARGET)) == (0, jobs)
                if number >= 0:
                    runs.milliseconds.append(took)
    return [ours, theirs]


def main(arguments: Sequence[str] | None = None) -> None:
    """Arguments, a Redis of our own, one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.migrate")
    parser.add_argument("--jobs", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=1000, help="of Node's calls")
    given = parser.parse_args(arguments)
    rows = []
    with RedisServer() as server, server.client() as client:
        for kind in KINDS:
            ours, theirs = in_turns(client, server.url, kind, given)
            for runs in (ours, theirs):
                rate, peer = runs.rate(given.jobs), theirs.rate(given.jobs)
                figures = (f"{rate:,.0f}", f"{rate / peer:.1f}", *runs.blocks.row())
                rows.append((f"{kind}: {runs.name}", *figures))
        title = f"{given.jobs:,} unfinished jobs moved, medians of {given.rounds} in turns"
        show(title, ("way", "jobs/s", "× Node", *COLUMNS), rows)
        say(f"goal: {GOAL_RATE:,} jobs/s, commands of at most {GOAL_BLOCK_MS:.0f} ms")
        say(machine.describe(client))


if __name__ == "__main__":
    main()
