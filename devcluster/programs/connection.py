"""What the Python programs share: which Redis, and the ledger; `connection.js` in Python."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Protocol

from redis.asyncio import Redis


def required(name: str) -> str:
    """A variable that must be set; exits 2 when it is not."""
    value = os.environ.get(name)
    if not value:
        print(f"{name} is not set", file=sys.stderr)
        sys.exit(2)
    return value


def say(line: dict[str, Any]) -> None:
    """One JSON line, at once: somebody waits for it."""
    print(json.dumps(line, separators=(",", ":")), flush=True)


class Ledger(Protocol):
    """What happened, apart from BullMQ's own keys; see connection.js."""

    async def added(self, queue: str, job: str) -> None:
        """The add was acknowledged."""

    async def done(self, queue: str, job: str) -> None:
        """A worker finished it."""

    async def close(self) -> None:
        """No more entries."""


class NoLedger:
    """Nobody asked for one."""

    async def added(self, queue: str, job: str) -> None:
        """Forget it."""

    async def done(self, queue: str, job: str) -> None:
        """Forget it."""

    async def close(self) -> None:
        """Nothing to close."""


class RedisLedger:
    """The hashes `ledger:<name>:added` and `ledger:<name>:done`."""

    def __init__(self, url: str, name: str) -> None:
        self._client: Any = Redis.from_url(url)  # its types say int or Awaitable of everything
        self._name = name

    async def added(self, queue: str, job: str) -> None:
        """<queue>:<job id> → 1."""
        await self._client.hset(f"ledger:{self._name}:added", f"{queue}:{job}", 1)

    async def done(self, queue: str, job: str) -> None:
        """<queue>:<job id> → how often."""
        await self._client.hincrby(f"ledger:{self._name}:done", f"{queue}:{job}", 1)

    async def close(self) -> None:
        """Disconnect."""
        await self._client.aclose()


def ledger(url: str) -> Ledger:
    """By LEDGER and LEDGER_URL."""
    name = os.environ.get("LEDGER")
    return RedisLedger(os.environ.get("LEDGER_URL") or url, name) if name else NoLedger()
