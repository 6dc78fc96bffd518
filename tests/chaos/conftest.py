"""Retirements under attack: real Redis, real BullMQ, a wire that can be cut at any command.

In: a drained queue with finished jobs and residue, and its neighbours. Out: what every test here
comes down to, `Stage.converge`: no acknowledged job lost, no neighbour touched, nothing left.

How much is tried is told by the environment: CHAOS=1000 (`make chaos N=1000`) for so many schedules
of what is drawn by chance, CHAOS_SEED=7 for other ones. What is walked through systematically is
always walked through as a whole.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from devcluster.bullmq import Major
from devcluster.hand import Hand
from devcluster.redis_server import RedisServer
from tests.chaos.stage import Stage
from tests.chaos.wire import Wire

SCHEDULES = "schedules"


@pytest.fixture(scope="session")
def chaos_seed() -> int:
    """Replays what was drawn by chance."""
    return int(os.environ.get("CHAOS_SEED", "1"))


@pytest.fixture(scope="module")
def drained(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Built once: every schedule sets it up again from a copy. Its parameter is a BullMQ major."""
    major: Major = getattr(request, "param", Major.V6)
    with RedisServer() as server, Hand(server.url, major=major) as hand:
        stage = Stage(server, hand, server.url)
        stage.build()
        yield stage
        stage.close()


@pytest.fixture
async def wire(drained: Stage) -> AsyncIterator[Wire]:
    """What the operator's commands go through."""
    server = drained.server
    async with Wire(server.host, server.port) as wire:
        drained.url = wire.url
        yield wire


@pytest.fixture
def stage(drained: Stage, wire: Wire) -> Stage:
    """The scene, set."""
    drained.set()
    return drained


@pytest.fixture
def ran(record_property: Callable[[str, object], None]) -> Callable[[int], None]:
    """Tell how many schedules a test ran."""
    return lambda count: record_property(SCHEDULES, count)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line with the sum of all tests: those that passed lost nothing, and converged."""
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        if report.when == "call" and any(name == SCHEDULES for name, _ in report.user_properties)
    ]
    total = sum(int(n) for one in reports for name, n in one.user_properties if name == SCHEDULES)
    failed = sum(report.failed for report in reports)
    terminalreporter.write_line(
        f"chaos: {total} schedules, each with 0 jobs lost, 0 foreign keys touched, converged; "
        f"{failed} tests stopped at one that was not"
    )
