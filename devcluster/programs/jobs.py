"""Queue operations by script, with the Python library; input and output are those of jobs.js.

A step that Python's Queue lacks is answered with an error, like one that a Node major lacks.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from collections.abc import Callable
from typing import Any

from bullmq import FlowProducer, Job, Queue, Worker

Json = dict[str, Any]
JOB_FIELDS = (
    "id",
    "name",
    "data",
    "attemptsMade",
    "delay",
    "priority",
    "timestamp",
    "failedReason",
)


def plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, Job):
        return {field: getattr(value, field) for field in JOB_FIELDS}
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


async def called(function: Callable[..., Any], *args: Any) -> Any:
    """The library mixes coroutines, awaitables and plain functions."""
    value = function(*args)
    return await value if inspect.isawaitable(value) else value


class Session:
    """One queue and what works on it."""

    def __init__(self, script: Json) -> None:
        self._options = {"connection": script["url"], "prefix": script.get("prefix", "bull")}
        self._queue = Queue(script["queue"], self._options)

    async def do(self, method: str, *args: Any) -> Any:
        """One step. Raises what the library raises."""
        match method:
            case "addFlow":
                return await self._add_flow(*args)
            case "process":
                return await self._process(*args)
            case "job":
                job = await self._queue.getJob(str(args[0]))
                return await called(getattr(job, args[1]), *args[2:]) if job else None
            case "upsertJobScheduler":
                return await self._upsert(*args)
        if not hasattr(self._queue, method):
            raise AttributeError(f"BullMQ's Queue has no method {method}")
        return await called(getattr(self._queue, method), *args)

    async def close(self) -> None:
        """Disconnect."""
        await self._queue.close()

    async def _add_flow(self, flow: Json, options: Json | None = None) -> Any:
        flows = FlowProducer(self._options)
        try:
            return await flows.add(flow, options or {})
        finally:
            await flows.close()

    async def _upsert(self, name: str, repeat: Json, template: Json | None = None) -> Any:
        """Node takes name, data and options of the jobs as one object, Python one by one."""
        job = template or {}
        fields = (job.get("name"), job.get("data"), job.get("opts"))
        return await self._queue.upsertJobScheduler(name, repeat, *fields)

    async def _process(self, count: int, options: Json | None = None) -> list[str]:
        asked = options or {}
        token = asked.get("token", "script")
        settings = {"autorun": False, "lockDuration": 60_000, **asked.get("worker", {})}
        worker = Worker(self._queue.name, None, self._options | settings)
        taken: list[str] = []
        try:
            while len(taken) < count and (job := await worker.getNextJob(token)):
                taken.append(job.id)
                if asked.get("fail"):
                    await job.moveToFailed(RuntimeError("asked to fail"), token)
                elif not asked.get("leaveActive"):
                    await job.moveToCompleted("done", token)
        finally:
            await worker.close(force=True)
        return taken


async def answered(script: Json) -> Json:
    """Do one script."""
    session = Session(script)
    answer: Json = {"results": []}
    for index, step in enumerate(script["steps"]):
        try:
            answer["results"].append(plain(await session.do(*step)))
        except Exception as error:  # the answer says which step, and what the library said
            answer |= {"error": str(error), "step": index}
            break
    await session.close()
    return answer


async def main() -> None:
    """Answer scripts until stdin ends."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await answered(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
