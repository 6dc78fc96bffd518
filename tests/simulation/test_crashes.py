"""The operator is killed at each moment of a life, and ends where it would have ended unharmed.

A moment is the gap before a status is written or an action is taken. What is lost with the process:
what the deleting calls did, and who contests the replicas. What is left: the objects, and Redis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from bullmq_operator.domain.names import VersionKey
from bullmq_operator.domain.spec import Drain, OnTimeout, Retire, State, WorkloadRef
from bullmq_operator.domain.status import ConditionStatus, ConditionType, Phase
from tests.simulation.world import World

HOUR = timedelta(hours=1)
OWN = WorkloadRef("worker-v1")
QUICK = Retire(delay=timedelta(minutes=5))


def reach(world: World, key: VersionKey, phase: Phase) -> None:
    world.until(lambda: world.status(key).phase is phase, within=12 * HOUR)


def superseded_used_again_and_brought_back(world: World, workers: tuple[WorkloadRef, ...]) -> None:
    """v1 is retired, reopened by a late job, retired again; then v2 turns out to be bad."""
    old = world.deploy("1", retire=QUICK, workers=workers)
    world.queues[old].configure(concurrency="1", max="10")
    world.queues[old].add(world.now, 10)
    reach(world, old, Phase.CURRENT)
    new = world.deploy("2", retire=QUICK)
    world.queues[new].add(world.now)
    reach(world, new, Phase.CURRENT)
    reach(world, old, Phase.RETIRED)
    world.queues[old].has_keys = True  # an old process opens the queue
    world.pass_time(HOUR)
    world.queues[old].add(world.now)
    reach(world, old, Phase.DRAINING)
    reach(world, old, Phase.RETIRED)
    world.edit(new, state=State.RETIRED)
    world.queues[old].add(world.now)
    reach(world, new, Phase.RETIRED)
    world.pass_time(HOUR)


def stopped_and_resumed(world: World, workers: tuple[WorkloadRef, ...]) -> None:
    """The emergency brake, while jobs wait."""
    only = world.deploy("1", workers=workers)
    world.queues[only].add(world.now)
    reach(world, only, Phase.CURRENT)
    world.edit(only, state=State.STOPPED)
    world.queues[only].add(world.now, 5)
    world.pass_time(HOUR)
    world.edit(only, state=State.AUTO)
    world.pass_time(HOUR)


def cut_off_and_given_more_time(world: World, workers: tuple[WorkloadRef, ...]) -> None:
    """The deadline of v1's drain passes with a job that is due much later."""
    cut = Drain(timeout=HOUR)
    old = world.deploy("1", workers=workers, drain=cut, retire=QUICK)
    world.queues[old].add(world.now, due=world.now + 5 * HOUR)
    reach(world, old, Phase.CURRENT)
    new = world.deploy("2", retire=QUICK)
    world.queues[new].add(world.now)
    reach(world, old, Phase.HELD)
    world.pass_time(HOUR)
    world.edit(old, drain=Drain())
    reach(world, old, Phase.RETIRED)
    world.pass_time(HOUR)


def moved_at_the_deadline(world: World, workers: tuple[WorkloadRef, ...]) -> None:
    """The same, and its job goes to v2, which does it."""
    cut = Drain(timeout=HOUR, on_timeout=OnTimeout.MIGRATE)
    old = world.deploy("1", workers=workers, drain=cut, retire=QUICK)
    world.queues[old].add(world.now, due=world.now + 5 * HOUR)
    reach(world, old, Phase.CURRENT)
    new = world.deploy("2", retire=QUICK)
    world.queues[new].add(world.now)
    reach(world, old, Phase.RETIRED)
    world.pass_time(6 * HOUR)


Life = Callable[[World, tuple[WorkloadRef, ...]], None]


@dataclass(frozen=True)
class End:
    """What must be as if nothing had happened."""

    phases: dict[str, str]
    held: list[VersionKey]
    replicas: dict[str, int]
    queues: dict[str, object]
    remembered: list[object]


def end_of(world: World) -> End:
    statuses = {key: world.status(key) for key in world.versions}
    held = [
        key
        for key, status in statuses.items()
        if (found := status.condition(ConditionType.HELD)) is None
        or found.status is not ConditionStatus.FALSE
    ]
    queues = {
        key.name: (q.done, q.unbounded, q.waiting, q.completed, q.has_keys, q.settings)
        for key, q in world.queues.items()
    }
    return End(
        phases=world.phases(),
        held=held,
        replicas={str(key): fleet.replicas for key, fleet in world.fleets.items()},
        queues=queues,
        remembered=[(s.workers, s.retirement.queue_settings) for s in statuses.values()],
    )


def lived(life: Life, workers: tuple[WorkloadRef, ...], dies_before: int | None = None) -> World:
    world = World()
    world.dies_before = dies_before
    life(world, workers)
    return world


@pytest.mark.parametrize(
    ("life", "workers"),
    [
        pytest.param(superseded_used_again_and_brought_back, (OWN,), id="used again"),
        pytest.param(
            superseded_used_again_and_brought_back,
            (replace(OWN, kind="StatefulSet"),),
            id="used again, with a StatefulSet",
        ),
        pytest.param(
            superseded_used_again_and_brought_back,
            (),
            id="used again, by workers that it does not list",
        ),
        pytest.param(stopped_and_resumed, (OWN, WorkloadRef("worker-b")), id="stopped"),
        pytest.param(cut_off_and_given_more_time, (OWN,), id="cut off"),
        pytest.param(moved_at_the_deadline, (OWN,), id="moved"),
    ],
)
def test_a_life_ends_the_same_wherever_the_operator_is_killed(
    life: Life, workers: tuple[WorkloadRef, ...]
) -> None:
    unharmed = lived(life, workers)
    moments = range(1, unharmed.effects + 1)
    ends = {moment: end_of(lived(life, workers, moment)) for moment in moments}

    expected = end_of(unharmed)
    assert {moment: end for moment, end in ends.items() if end != expected} == {}


def test_the_first_life_has_every_action_in_it() -> None:
    """Or the test above would leave some out."""
    assert sorted(set(lived(superseded_used_again_and_brought_back, (OWN,)).actions())) == [
        "RestoreReplicas orders-v1",
        "RestoreSettings orders-v1",
        "RetireQueue orders-v1",
        "RetireQueue orders-v2",
        "ScaleToZero orders-v1",
        "ScaleToZero orders-v2",
        "SweepRecreated orders-v1",
    ]
