"""A deleting command of ours that arrives when the queue serves again.

It stood in a buffer while Redis hung or a switch was being replaced; the operator that sent it gave
up, or was killed, and the version was rolled back.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from bullmq_operator.queues.connection import SOCKET_SECONDS
from devcluster.waiting import wait_until
from tests.chaos.stage import BASE, SETTINGS, Stage
from tests.chaos.test_crash_walk import DELETING, deleting, killed_before
from tests.chaos.wire import Command, Wire

pytestmark = pytest.mark.redis

BRIEFLY = 0.2
"""Seconds that the operator of these tests waits for an answer."""


def job_waits(stage: Stage) -> None:
    stage.add()


def job_is_worked_on(stage: Stage) -> None:
    stage.add()
    stage.do("take")


def job_was_finished(stage: Stage) -> None:
    stage.add(jobId="new")
    stage.do("process", 1)


def failed_job_is_retried(stage: Stage) -> bool:
    """There may be none any more."""
    stage.do("retryJobs", {"state": "failed"})
    return stage.raw.exists(f"{BASE}wait") == 1


def queue_is_paused(stage: Stage) -> None:
    stage.do("pause")


def nothing_happens(stage: Stage) -> None:
    """No job, no act that would move the stamp."""


SINCE = [
    pytest.param(one, id=one.__name__.replace("_", " "))
    for one in (
        job_waits,
        job_is_worked_on,
        job_was_finished,
        failed_job_is_retried,
        queue_is_paused,
        nothing_happens,
    )
]


async def retire_until(stage: Stage, wire: Wire, number: int, patience: float) -> list[Command]:
    """Retire with a kill before this command; the deleting commands, the last one not sent."""
    stage.set()
    assert await killed_before(number, wire, stage.retire_anew(patience=patience))
    return [command for command in wire.seen if command.words[1] in DELETING]


@pytest.mark.parametrize("happen", SINCE)
async def test_a_command_that_arrives_after_its_time_changes_nothing(
    stage: Stage, wire: Wire, ran: Callable[[int], None], happen: Callable[[Stage], object]
) -> None:
    numbers = await deleting(stage, wire)
    for number in numbers:
        late = await retire_until(stage, wire, number, BRIEFLY)
        stage.raw.hset(f"{BASE}meta", mapping=SETTINGS)  # as restore_settings does, if need be
        happen(stage)
        before = stage.snapshot()
        wait_until(functools.partial(is_past, stage, late[-1]), "the command's time to pass")
        for command in late:
            stage.binary.execute_command(*command.words)
        assert stage.snapshot() == before, f"command {number} came late"
        await stage.converge()
    ran(len(numbers))


def is_past(stage: Stage, command: Command) -> bool:
    """Whether Redis's clock is past the command's deadline."""
    seconds, microseconds = stage.raw.time()
    return seconds * 1000 + microseconds // 1000 > int(command.words[5])


@pytest.mark.parametrize("happen", [one for one in SINCE if one.values[0] is not nothing_happens])
async def test_a_command_that_arrives_in_its_time_takes_no_job_of_a_queue_that_serves_again(
    stage: Stage, wire: Wire, ran: Callable[[int], None], happen: Callable[[Stage], object]
) -> None:
    """A new process may be at work before the time of the old one's command is over."""
    numbers = await deleting(stage, wire)
    for number in numbers:
        late = await retire_until(stage, wire, number, SOCKET_SECONDS)
        if happen(stage) is False:
            continue
        before = stage.snapshot()
        for command in late:
            stage.binary.execute_command(*command.words)
        assert stage.snapshot() == before, f"command {number} came late"
        await stage.converge()
    ran(len(numbers))
