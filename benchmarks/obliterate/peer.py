"""The Python BullMQ as a producer; input and output as of peer.js, which also obliterates."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from typing import Any

from bullmq import Queue
from redis.asyncio import Redis


class Peer:
    """Its handles stay open."""

    def __init__(self, url: str) -> None:
        self._client = Redis.from_url(url, decode_responses=True)
        self._queues: dict[str, Queue] = {}
        self._added: list[str] = []
        self._errors: list[str] = []
        self._going = False
        self._adders: list[asyncio.Task[None]] = []

    async def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """One line of input."""
        match asked["do"]:
            case "open":
                await self._open(asked["queue"])
                return {}
            case "rush":
                return await self._rush(asked["queue"], asked["width"])
            case _:
                return await self._stop()

    async def _open(self, name: str) -> Queue:
        if name not in self._queues:
            self._queues[name] = Queue(name, {"connection": self._client})
        await self._client.ping()
        return self._queues[name]

    async def _rush(self, name: str, width: int) -> dict[str, Any]:
        queue, numbers = await self._open(name), itertools.count()
        self._added, self._errors, self._going = [], [], True

        async def add() -> None:
            while self._going:
                token = f"job-{next(numbers)}"
                try:
                    await queue.add("late", {"token": token}, {})
                    self._added.append(token)
                except Exception as error:  # an add that was not acknowledged, whatever it is
                    self._errors.append(str(error))

        self._adders = [asyncio.create_task(add()) for _ in range(width)]
        return {}

    async def _stop(self) -> dict[str, Any]:
        self._going = False
        await asyncio.gather(*self._adders)
        return {"added": self._added, "errors": self._errors}


async def main() -> None:
    """Until standard input ends."""
    peer, loop = Peer(os.environ["REDIS_URL"]), asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await peer.answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
