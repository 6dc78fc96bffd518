"""For how long Redis keeps its other clients waiting, by its own account and by theirs.

Redis's SLOWLOG tells how long each command ran. A process of its own sends a PING every
millisecond and tells how long each answer took: that counts commands that Redis ran in one go, and
also what the machine did meanwhile.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import redis

from benchmarks.report import percentile

SLOWER_THAN_MICROSECONDS = 300
"""What SLOWLOG keeps. Shorter commands block nobody, and would flatter the percentile."""
EVERY_S = 0.001


@dataclass(slots=True)
class Blocks:
    """Milliseconds, over all measurements that were taken in."""

    commands: list[float] = field(default_factory=list)
    """Those that ran longer than 0.3 ms."""
    pings: list[float] = field(default_factory=list)

    def row(self) -> tuple[str, str, str, str]:
        """p99 and longest command, p99 and longest PING."""
        figures = (
            percentile(self.commands, 0.99),
            max(self.commands, default=float("nan")),
            percentile(self.pings, 0.99),
            max(self.pings, default=float("nan")),
        )
        first, second, third, fourth = (f"{figure:.1f}" for figure in figures)
        return first, second, third, fourth


COLUMNS = ("command p99 ms", "longest", "PING p99 ms", "longest")


@contextmanager
def watched(client: redis.Redis, url: str, blocks: Blocks) -> Iterator[None]:
    """Take in what happens meanwhile."""
    client.config_set("slowlog-log-slower-than", SLOWER_THAN_MICROSECONDS)
    client.config_set("slowlog-max-len", 1_000_000)
    with _probe(url) as pings:
        cast(Any, client).slowlog_reset()
        yield
        log = cast(Any, client).slowlog_get(-1)
    blocks.commands += [entry["duration"] / 1000 for entry in log]
    blocks.pings += pings()


@contextmanager
def _probe(url: str) -> Iterator[Callable[[], list[float]]]:
    """Pings until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.blocking", url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    told: list[float] = []
    process.stdout.readline()  # it has begun
    try:
        yield lambda: told
    finally:
        process.stdin.close()
        told += json.loads(process.stdout.read() or "[]")
        process.stdout.close()
        process.wait(timeout=10)


def ping(url: str, ended: Callable[[], bool]) -> list[float]:
    """Milliseconds of each PING."""
    took = []
    with redis.Redis.from_url(url) as client:
        while not ended():
            began = time.perf_counter()
            client.ping()
            took.append((time.perf_counter() - began) * 1000)
            time.sleep(EVERY_S)
    return took


def _main() -> None:
    with redis.Redis.from_url(sys.argv[1]) as client:
        client.ping()
    print("ready", flush=True)
    print(json.dumps(ping(sys.argv[1], lambda: bool(select.select([sys.stdin], [], [], 0)[0]))))


if __name__ == "__main__":
    _main()
