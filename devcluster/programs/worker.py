"""A Python BullMQ worker. Environment and output are those of worker.js."""

from __future__ import annotations

import asyncio
import datetime
import importlib.metadata
import json
import os
import signal
from collections.abc import Sequence
from typing import Any

from bullmq import Worker

from devcluster.programs.connection import Ledger, ledger, required, say

SECONDS_BETWEEN_LOOKS = 0.01
SECONDS_TO_CLOSE = 3.0


def log(event: str, **fields: Any) -> None:
    """One line of what happened."""
    time = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    say({"time": time.replace("+00:00", "Z"), "event": event} | fields)


def attach(queue: str, url: str, book: Ledger) -> Worker:
    """A worker on one queue; it starts by itself."""
    env = os.environ
    name = env.get("WORKER_NAME") or env.get("HOSTNAME")

    async def process(job: Any, _token: str) -> dict[str, str | None]:
        log("start", queue=queue, id=job.id)
        data = job.data or {}
        await asyncio.sleep(float(data.get("ms", env.get("JOB_MS") or 0)) / 1000)
        if job.attemptsMade < int(data.get("fail", 0)):
            raise RuntimeError(f"asked to fail, attempt {job.attemptsMade + 1}")
        await book.done(queue, job.id)
        log("done", queue=queue, id=job.id)
        return {"worker": name}

    options = {
        "connection": url,
        "prefix": env.get("BULLMQ_PREFIX") or "bull",
        "concurrency": int(env.get("CONCURRENCY") or 1),
        "lockDuration": int(env.get("LOCK_MS") or 30_000),
        "stalledInterval": int(env.get("STALLED_MS") or 30_000),
        "name": name,
    }
    worker = Worker(queue, process, options)
    worker.on("error", lambda error, *_: log("error", queue=queue, message=str(error)))
    worker.on("stalled", lambda job: log("stalled", queue=queue, id=job))
    worker.on(
        "failed", lambda job, error: log("failed", queue=queue, id=job.id, message=str(error))
    )
    return worker


async def serve(workers: Sequence[Worker]) -> None:
    """200 on any path once every worker is attached, 503 before and while closing."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        status = "200 OK" if is_ready(workers) else "503 Service Unavailable"
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )
        await writer.drain()
        writer.close()

    await asyncio.start_server(
        answer, os.environ["POD_IP"], int(os.environ.get("HTTP_PORT") or 8080)
    )


def is_ready(workers: Sequence[Worker]) -> bool:
    """Whether each has named its connections and is looking for jobs."""
    return all(worker.running and not worker.closing for worker in workers)


async def main() -> None:
    """Until SIGTERM or SIGINT, and then until the jobs at hand are done."""
    url = required("REDIS_URL")
    several = os.environ.get("BULLMQ_QUEUE_NAMES")
    queues: list[str] = json.loads(several) if several else [required("BULLMQ_QUEUE_NAME")]
    stopping = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stopping.set)
    book = ledger(url)
    workers = [attach(queue, url, book) for queue in queues]
    if os.environ.get("POD_IP"):
        await serve(workers)
    while not (is_ready(workers) or stopping.is_set()):  # noqa: ASYNC110  (there is no event)
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
    log("ready", queues=queues, bullmq=importlib.metadata.version("bullmq"))
    await stopping.wait()
    log("closing")
    closed = await close(workers)
    await book.close()
    log("closed")
    if not closed:
        os._exit(0)  # an end of the loop would wait for what never returns


async def close(workers: Sequence[Worker]) -> bool:
    """Take no new job, finish those at hand. False: the library hangs with no job at hand, as
    Worker.close() of 3.4.4 may when it is called while the worker begins to wait for a job.
    """
    closing = asyncio.gather(*(worker.close() for worker in workers))
    while not closing.done():
        await asyncio.wait({closing}, timeout=SECONDS_TO_CLOSE)
        if not any(worker.jobs for worker in workers):
            break
    return closing.done()


if __name__ == "__main__":
    asyncio.run(main())
