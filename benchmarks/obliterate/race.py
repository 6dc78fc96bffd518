"""Deletion against a producer that goes on adding: what was acknowledged, and is nowhere."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import cast

import redis

from benchmarks.obliterate.bullmq_process import Peer
from benchmarks.obliterate.filling import fill
from benchmarks.report import show
from bullmq_operator.domain.counts import RetirementOutcome
from bullmq_operator.domain.names import Backend, QueueId, RedisSource
from bullmq_operator.queues.connection import ConnectionSettings, connect
from bullmq_operator.queues.inventory import take_inventory
from bullmq_operator.queues.retirement import retire_queue
from devcluster.bullmq import Major

QUEUE = "orders/v1"
BASE = f"bull:{QUEUE}:"
WIDTH = 4
"""Adds that one producer has under way."""
GO_ON_S = 0.3
"""So long the producer adds, from its start on, and the operator tries again and again."""


@dataclass(slots=True)
class Toll:
    """Over all rounds."""

    acknowledged: int = 0
    lost: int = 0
    errors: int = 0

    def take(self, client: redis.Redis, producer: Peer) -> None:
        """Stop the producer, and look for what it was promised."""
        told = producer.ask(do="stop")
        self.acknowledged += len(told["added"])
        self.errors += len(told["errors"])
        self.lost += len(set(told["added"]) - waiting_tokens(client))

    def row(self, name: str) -> tuple[str, ...]:
        """As text."""
        return name, f"{self.acknowledged:,}", f"{self.lost:,}", f"{self.errors:,}"


def race(client: redis.Redis, url: str, jobs: int, rounds: int) -> None:
    """Each BullMQ as the producer, against the operator and against Node's obliterate."""
    rows = []
    for major in Major:
        ours, node = Toll(), Toll()
        with Peer(url) as deleter, Peer(url, major) as producer:
            for number in range(rounds):
                begin_at = jobs * number // rounds  # jobs are deleted when the producer begins
                for toll, run in ((ours, _operator), (node, _node)):
                    fill(client, url, QUEUE, jobs, logs=False)
                    deleter.open(QUEUE)
                    producer.open(QUEUE)
                    run(Round(client, url, jobs, begin_at, producer, deleter))
                    toll.take(client, producer)
                    client.flushdb()
        rows += [ours.row(f"{major} producer: operator"), node.row("  Node obliterate")]
    columns = ("who adds: who deletes", "acknowledged", "of them lost", "producer's errors")
    show(f"{jobs:,} finished jobs, while a producer adds, {rounds} rounds", columns, rows)


@dataclass(frozen=True, slots=True)
class Round:
    """One deletion; the producer begins when `begin_at` jobs are gone."""

    client: redis.Redis
    url: str
    jobs: int
    begin_at: int
    producer: Peer
    deleter: Peer

    def begin(self) -> None:
        """The producer's handle is open: its first add is under way at once."""
        self.producer.ask(do="rush", queue=QUEUE, width=WIDTH)


def _operator(this: Round) -> None:
    """Whatever the producer does, the operator tries for the whole time."""
    asyncio.run(_retire_again_and_again(this))


async def _retire_again_and_again(this: Round) -> None:
    connection = connect(ConnectionSettings(url=this.url))
    queue = QueueId(Backend("shop", RedisSource()), "bull", QUEUE)
    until: float | None = None

    def watch(outcome: RetirementOutcome) -> None:
        nonlocal until
        if until is None and outcome.obliterated_jobs >= this.begin_at:
            this.begin()
            until = time.monotonic() + GO_ON_S

    while until is None or time.monotonic() < until:
        inventory = await take_inventory(connection, queue)
        await retire_queue(connection, queue, inventory, inventory.stamp, watch)
    await connection.close()


def _node(this: Round) -> None:
    this.deleter.send(do="obliterate", queue=QUEUE)
    while this.client.zcard(f"{BASE}completed") > this.jobs - this.begin_at:
        time.sleep(0.001)
    this.begin()
    until = time.monotonic() + GO_ON_S
    answer = this.deleter.receive()
    assert answer["error"] is None, answer["error"]
    time.sleep(max(until - time.monotonic(), 0))


def waiting_tokens(client: redis.Redis) -> set[str]:
    """What a worker would find: listed, and with its data."""
    listed: list[str] = []
    for name in ("wait", "paused"):
        listed += cast(list[str], client.lrange(f"{BASE}{name}", 0, -1))
    pipe = client.pipeline(transaction=False)
    for job in listed:
        pipe.hget(f"{BASE}{job}", "data")
    data = [text for text in pipe.execute() if text]
    return {str(json.loads(text).get("token")) for text in data}
