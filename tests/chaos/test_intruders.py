"""Somebody else acts between any two commands of a retirement: singly everywhere, and in pairs."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from bullmq_operator.domain.counts import RetirementOutcome
from bullmq_operator.queues import scripts
from devcluster.bullmq import Major
from tests.chaos.intruders import EITHER, INTRUDERS, LATE_JOB, NOTHING, Intruder
from tests.chaos.stage import BASE, Stage
from tests.chaos.wire import Wire

pytestmark = pytest.mark.redis

MAJORS = [pytest.param(major, id=major.value) for major in Major]
PAIRS = int(os.environ.get("CHAOS", "60"))
CLOSE = scripts.load("close").digest.encode()


@dataclass(frozen=True)
class Moment:
    """An act, before the command of this number."""

    number: int
    intruder: Intruder

    def __str__(self) -> str:
        return f"before command {self.number}: {self.intruder.name}"


@dataclass(frozen=True)
class Run:
    """A retirement that was intruded upon."""

    outcome: RetirementOutcome
    bitten: bool
    """Whether every intruder found something to act on."""
    commands: int
    closed_at: int | None
    """The number of the close, if it was reached."""


def prepare(stage: Stage, wire: Wire, moments: Sequence[Moment]) -> None:
    """The scene as these intruders want to find it."""
    stage.set()
    for moment in moments:
        if moment.intruder.before is not None:
            moment.intruder.before(stage)
    wire.reset()


async def intruded(stage: Stage, wire: Wire, *moments: Moment) -> Run:
    """One retirement; what it did not live to see happens after it."""
    prepare(stage, wire, moments)
    left, bitten, errors = list(moments), [], []

    def act(number: float, _: object = None) -> None:
        while left and left[0].number <= number:
            try:
                bitten.append(left.pop(0).intruder.act(stage, wire) is not False)
            except Exception as error:  # told in the test, not in the proxy
                errors.append(error)

    wire.before = act
    outcome = await stage.retire_anew()
    commands = len(wire.seen)
    closed_at = (n for n, command in enumerate(wire.seen, 1) if CLOSE in command.words)
    run = Run(outcome, all(bitten), commands, next(closed_at, None))
    wire.reset()
    act(float("inf"))
    assert not errors, errors
    return run


def expected(moment: Moment, run: Run) -> frozenset[str]:
    """What must have stopped it, by the table; nothing: it must have closed the queue."""
    intruder = moment.intruder
    if not run.bitten or moment.number > (run.closed_at or run.commands):
        return LATE_JOB if intruder.leaves_unfinished else NOTHING
    if moment.number == 1 and intruder.stops <= EITHER and intruder.stops != LATE_JOB:
        return NOTHING  # over before the stamp is read
    return intruder.stops


@pytest.mark.parametrize("drained", MAJORS, indirect=True)
@pytest.mark.parametrize("intruder", [pytest.param(one, id=one.name) for one in INTRUDERS])
async def test_an_intruder_before_any_command_loses_nothing_and_stops_only_what_it_must(
    stage: Stage, wire: Wire, ran: Callable[[int], None], intruder: Intruder
) -> None:
    for number in itertools.count(1):
        moment = Moment(number, intruder)
        run = await intruded(stage, wire, moment)
        stops = expected(moment, run)
        as_told = run.outcome.stopped_by in stops if stops else run.outcome.closed
        assert as_told, f"{moment}: {run}, expected {set(stops) or 'a close'}"
        assert run.outcome.closed or stage.raw.exists(f"{BASE}id"), "an abort left no queue"
        await stage.converge()
        if number > run.commands:
            break
    ran(number)


def pairs(seed: int) -> list[tuple[Moment, Moment]]:
    """A sample of all ordered pairs of acts, the second at the same moment or later."""
    moments = [Moment(number, one) for number in range(1, 17) for one in INTRUDERS]
    every = [
        (first, then)
        for first, then in itertools.product(moments, moments)
        if first.number <= then.number
    ]
    return random.Random(seed).sample(every, min(PAIRS, len(every)))


@pytest.mark.timeout(300 + 2 * PAIRS)
@pytest.mark.parametrize("drained", MAJORS, indirect=True)
async def test_two_intruders_at_any_two_moments_lose_nothing(
    stage: Stage, wire: Wire, ran: Callable[[int], None], chaos_seed: int
) -> None:
    drawn = pairs(chaos_seed)
    for first, then in drawn:
        run = await intruded(stage, wire, first, then)
        try:
            await stage.converge()
        except AssertionError as error:
            raise AssertionError(f"{first}, {then}: {run}: {error}") from error
    ran(len(drawn))
