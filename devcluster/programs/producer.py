"""A Python BullMQ producer. Environment and output are those of producer.js."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from bullmq import Queue
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from devcluster.programs.connection import Ledger, ledger, required, say

SECONDS_AFTER_A_REFUSAL = 0.2


def planned() -> Iterator[dict[str, Any]]:
    """The jobs of PLAN, or COUNT equal ones (0: without end)."""
    env = os.environ
    if plan := env.get("PLAN"):
        for step in json.loads(plan):
            yield from itertools.repeat(step, step.get("count", 1))
        return
    data = json.loads(env.get("JOB_DATA") or "{}")
    opts = json.loads(env.get("JOB_OPTS") or "{}")
    count = int(env.get("COUNT") or 0)
    job = {"data": data, "opts": opts}
    yield from itertools.repeat(job, count) if count else itertools.repeat(job)


async def produce(queue: Queue, book: Ledger, stopping: asyncio.Event) -> None:
    """Add what is planned, at RATE jobs a second."""
    loop = asyncio.get_running_loop()
    rate = float(os.environ.get("RATE") or 0)
    due = loop.time()
    for job in planned():
        if stopping.is_set():
            return
        try:
            added = await queue.add(
                job.get("name", "job"), job.get("data", {}), job.get("opts", {})
            )
            await book.added(queue.name, added.id)
            say({"added": added.id})
        except Exception as error:  # whatever it is, this add was not acknowledged
            say({"error": str(error)})
            await asyncio.sleep(SECONDS_AFTER_A_REFUSAL)
        due += 1 / rate if rate else 0
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), max(due - loop.time(), 0))


async def main() -> None:
    """Until the plan is done, or until SIGTERM or SIGINT."""
    url = required("REDIS_URL")
    stopping = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stopping.set)
    book = ledger(url)
    # One retry: a producer that hangs while Redis is away would hide what was not acknowledged.
    client = Redis.from_url(url, decode_responses=True, retry=Retry(NoBackoff(), 1))
    prefix = os.environ.get("BULLMQ_PREFIX") or "bull"
    queue = Queue(required("BULLMQ_QUEUE_NAME"), {"connection": client, "prefix": prefix})
    await produce(queue, book, stopping)
    if os.environ.get("STAY") == "1":
        await stopping.wait()
    await queue.close()
    await book.close()


if __name__ == "__main__":
    asyncio.run(main())
