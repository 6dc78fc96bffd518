"""What the machine is, and how fast it is right now: a figure without it says little."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

import redis

LOOPS = 1_000_000
CALLS = 100_000
_GETS = "for i = 1, tonumber(ARGV[1]) do redis.call('GET', 'none') end"


def describe(client: redis.Redis) -> str:
    """Its name, its load, and two yardsticks: one of Python, one of this Redis."""
    return (
        f"{processor()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; "
        f"a million turns of a Python loop {python_ms():.0f} ms, "
        f"a GET by Lua in {version(client)} {get_microseconds(client):.2f} µs"
    )


def processor() -> str:
    """Its name, as far as the system tells."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def python_ms() -> float:
    """Milliseconds for LOOPS turns; the best of three."""
    return min(_loop_ms() for _ in range(3))


def _loop_ms() -> float:
    began, total = time.perf_counter(), 0
    for number in range(LOOPS):
        total += number
    return (time.perf_counter() - began) * 1000


def get_microseconds(client: redis.Redis) -> float:
    """One GET of a script, connection and parsing left out; the best of three."""
    took = []
    for _ in range(3):
        began = time.perf_counter()
        client.eval(_GETS, 0, CALLS)
        took.append((time.perf_counter() - began) * 1e6 / CALLS)
    return min(took)


def version(client: redis.Redis) -> str:
    """`Valkey 9.1.2` or `Redis 7.2.4`."""
    server = client.info("server")
    if "valkey_version" in server:
        return f"Valkey {server['valkey_version']}"
    return f"Redis {server['redis_version']}"


def redis_cpu_ms(client: redis.Redis) -> float:
    """All that the server has used so far."""
    cpu = client.info("cpu")
    return float(cpu["used_cpu_user"] + cpu["used_cpu_sys"]) * 1000
