"""A producer and worker that stays, with the Python library; steps and answers as in hand.js."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from bullmq import FlowProducer, Job, Queue, Worker

from devcluster.programs.connection import required, say
from devcluster.programs.jobs import Json, called, plain

TOKEN = "hand"


class Bench:
    """One queue, with handles that were opened once."""

    def __init__(self, name: str, options: Json) -> None:
        self._name, self._options = name, options
        self._queue = Queue(name, options)
        self._flows = FlowProducer(options)
        manual = {"autorun": False, "lockDuration": 60_000}
        self._taker = Worker(name, None, options | manual)
        self._taken: list[Job] = []
        self._attached: Worker | None = None

    async def do(self, what: str, *args: Any) -> Any:
        """One step. Raises what the library raises."""
        step = getattr(self, f"_do_{what}", None)
        if step is not None:
            return await step(*args)
        if not hasattr(self._queue, what):
            raise AttributeError(f"BullMQ's Queue has no method {what}")
        return await called(getattr(self._queue, what), *args)

    async def _do_open(self) -> None:
        await self._queue.getJobCounts("wait")

    async def _do_addFlow(self, flow: Json) -> Any:  # noqa: N802  (BullMQ's own word)
        return await self._flows.add(flow, {})

    async def _do_addFlows(self, flows: list[Json]) -> Any:  # noqa: N802
        return await self._flows.addBulk(flows)

    async def _do_job(self, job_id: str, method: str, *args: Any) -> Any:
        job = await self._queue.getJob(job_id)
        return await called(getattr(job, method), *args) if job else None

    async def _do_take(self) -> str | None:
        job = await self._taker.moveToActive(TOKEN)  # getNextJob may wait for one
        if not job:
            return None
        self._taken.append(job)
        return str(job.data.get("token", ""))

    async def _do_finish(self, options: Json | None = None) -> str | None:
        if not self._taken:
            return None
        job = self._taken.pop(0)
        token = str(job.data.get("token", ""))
        if (options or {}).get("fail"):
            await job.moveToFailed(RuntimeError("asked to fail"), TOKEN)
        else:
            say({"done": token})
            await job.moveToCompleted("done", TOKEN)
        return token

    async def _do_forget(self) -> None:
        self._taken.clear()

    async def _do_process(self, count: int, options: Json | None = None) -> int:
        done = 0
        while done < count and await self._do_take() is not None:
            await self._do_finish(options)
            done += 1
        return done

    async def _do_schedule(self, name: str, every: int, data: Json) -> Any:
        return await self._queue.upsertJobScheduler(name, {"every": every}, None, data, None)

    async def _do_unschedule(self) -> None:
        for scheduler in await self._queue.getJobSchedulers():
            await self._queue.removeJobScheduler(scheduler["key"])

    async def _do_attach(self, options: Json) -> None:
        """Works by hand on what is there: the library's own loop can't be closed reliably while it
        waits for a job."""
        self._attached = Worker(self._name, None, self._options | options | {"autorun": False})
        while job := await self._attached.moveToActive(TOKEN):
            say({"done": job.data.get("token", "")})
            await job.moveToCompleted("done", TOKEN)

    async def _do_detach(self) -> None:
        if self._attached is not None:
            await self._attached.close(force=True)
            self._attached = None


async def main() -> None:
    """Answer steps until stdin ends."""
    options = {
        "connection": required("REDIS_URL"),
        "prefix": os.environ.get("BULLMQ_PREFIX", "bull"),
    }
    benches: dict[str, Bench] = {}
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = json.loads(line)
        queue, (what, *args) = asked["queue"], asked["step"]
        try:
            if queue not in benches:
                benches[queue] = Bench(queue, options)
            say({"result": plain(await benches[queue].do(what, *args))})
        except Exception as error:  # the library's own words are the answer
            say({"error": str(error) or type(error).__name__})
    os._exit(0)  # connections and their tasks go with the process


if __name__ == "__main__":
    asyncio.run(main())
