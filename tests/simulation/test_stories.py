"""Days in the life of a family, each to its end: where a second run plans nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from bullmq_operator.domain.names import VersionKey
from bullmq_operator.domain.plan import ScaleToZero
from bullmq_operator.domain.spec import Drain, OnTimeout, State, WorkloadRef
from bullmq_operator.domain.status import ConditionStatus, ConditionType, Phase
from bullmq_operator.planner import plan
from tests.simulation.model import POD_GRACE
from tests.simulation.world import World
from tests.support.builders import written_back

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
def world() -> Iterator[World]:
    """A world whose last pass left nothing to do, and no change to the statuses."""
    world = World()
    yield world
    last = plan(world.observe())
    assert (last.actions, last.events, last.inventories) == ((), (), ())
    again = plan(written_back(world.observe(), last))
    assert (again.statuses, again.events) == (last.statuses, ())


@pytest.fixture
def old(world: World) -> VersionKey:
    """v1 serves, and has done ten jobs."""
    key = world.deploy("1", drain=Drain(timeout=6 * HOUR))
    world.queues[key].add(world.now, 10)
    world.queues[key].configure(concurrency="1")
    world.until(lambda: world.status(key).phase is Phase.CURRENT, within=HOUR)
    return key


def supersede(world: World) -> VersionKey:
    """Deploy v2 and wait until it is current."""
    key = world.deploy("2")
    world.queues[key].add(world.now)
    world.until(lambda: world.status(key).phase is Phase.CURRENT, within=HOUR)
    return key


def reach(world: World, key: VersionKey, phase: Phase, within: timedelta = 3 * DAY) -> None:
    world.until(lambda: world.status(key).phase is phase, within=within)


def held(world: World, key: VersionKey) -> str | None:
    found = world.status(key).condition(ConditionType.HELD)
    return None if found is None or found.status is not ConditionStatus.TRUE else found.reason


def test_an_old_version_goes_away_and_the_new_one_is_left_alone(
    world: World, old: VersionKey
) -> None:
    supersede(world)
    reach(world, old, Phase.RETIRED)
    world.pass_time(DAY, step=HOUR)

    assert world.actions() == ["ScaleToZero orders-v1", "RetireQueue orders-v1"]
    assert world.status(old).retirement.obliterated_jobs == 10
    assert (world.queues[old].has_keys, world.queues[old].done) == (False, 10)
    assert [reason for name, reason in world.said if name == "orders-v1"] == [
        "Activated",
        "Superseded",
        "Drained",
        "WorkersGone",
        "Obliterating",
        "Retired",
    ]


def test_a_job_added_during_the_delay_is_done_before_the_queue_goes(
    world: World, old: VersionKey
) -> None:
    supersede(world)
    reach(world, old, Phase.RETIRING)
    world.pass_time(12 * HOUR, step=HOUR)
    world.queues[old].add(world.now)
    reach(world, old, Phase.RETIRED)

    assert world.queues[old].done == 11
    assert world.actions() == [
        "ScaleToZero orders-v1",
        "RestoreReplicas orders-v1",
        "ScaleToZero orders-v1",
        "RetireQueue orders-v1",
    ]


def test_a_job_added_to_a_retired_queue_is_done_and_the_queue_retired_again(
    world: World, old: VersionKey
) -> None:
    supersede(world)
    reach(world, old, Phase.RETIRED)
    world.pass_time(10 * DAY, step=6 * HOUR)
    world.queues[old].add(world.now)
    came = world.now
    world.pass_time(MINUTE)
    late = world.status(old).condition(ConditionType.LATE_JOBS)
    settings = world.queues[old].settings
    reach(world, old, Phase.RETIRED, within=5 * DAY)

    assert late is not None
    assert settings == (("concurrency", "1"),)
    assert world.queues[old].done == 11
    assert world.actions(came) == [
        "RestoreSettings orders-v1",
        "RestoreReplicas orders-v1",
        "ScaleToZero orders-v1",
        "RetireQueue orders-v1",
    ]


@pytest.mark.parametrize(
    ("phase", "delayed", "back"),
    [
        pytest.param(Phase.DRAINING, 1, [], id="while it drains"),
        pytest.param(Phase.RETIRING, 0, ["RestoreReplicas orders-v1"], id="after the scale-down"),
        pytest.param(
            Phase.RETIRED,
            0,
            ["RestoreSettings orders-v1", "RestoreReplicas orders-v1"],
            id="after it was retired",
        ),
    ],
)
def test_a_rollback_brings_the_old_version_back(
    world: World, old: VersionKey, phase: Phase, delayed: int, back: list[str]
) -> None:
    world.queues[old].add(world.now, delayed, due=world.now + 3 * HOUR)
    new = supersede(world)
    reach(world, old, phase)
    world.pass_time(2 * MINUTE)
    turned = world.now
    world.edit(new, state=State.RETIRED)
    world.queues[old].add(world.now)
    world.pass_time(HOUR)

    assert world.status(old).phase is Phase.CURRENT
    assert (world.fleet(old).replicas, world.queues[old].waiting) == (3, 0)
    assert [a for a in world.actions(turned) if a.endswith("v1")] == back
    held = world.status(old).condition(ConditionType.HELD)
    assert held is not None
    assert held.reason == "NothingHeld"
    reach(world, new, Phase.RETIRED)


def test_a_passed_deadline_stops_the_workers_and_keeps_the_jobs(
    world: World, old: VersionKey
) -> None:
    world.queues[old].add(world.now, due=world.now + 30 * DAY)
    supersede(world)
    reach(world, old, Phase.HELD)
    world.pass_time(DAY, step=HOUR)

    assert world.actions() == ["ScaleToZero orders-v1"]
    assert len(world.queues[old].delayed) == 1
    world.queues[old].delayed.clear()  # a person removes the job
    reach(world, old, Phase.RETIRED)
    assert world.actions() == ["ScaleToZero orders-v1", "RetireQueue orders-v1"]


def test_a_paused_queue_waits_for_a_person_and_goes_on_by_itself(world: World) -> None:
    old = world.deploy("1")
    world.until(lambda: world.status(old).phase is Phase.CURRENT, within=HOUR)
    world.queues[old].paused = True
    world.queues[old].add(world.now, 5)
    supersede(world)
    reach(world, old, Phase.HELD)
    world.pass_time(3 * DAY, step=HOUR)

    assert world.actions() == []
    world.queues[old].paused = False
    reach(world, old, Phase.RETIRED)
    assert world.queues[old].done == 5


@pytest.mark.parametrize(
    "phase",
    [
        pytest.param(Phase.DRAINING, id="while it drains"),
        pytest.param(Phase.RETIRING, id="during the delay"),
        pytest.param(Phase.RETIRED, id="after it was retired"),
    ],
)
def test_redis_away_for_hours_changes_nothing_but_the_time(
    world: World, old: VersionKey, phase: Phase
) -> None:
    world.queues[old].add(world.now, due=world.now + 2 * HOUR)
    supersede(world)
    reach(world, old, phase)
    world.pass_time(MINUTE)
    before = world.actions()
    world.redis_is_away = True
    world.reconcile()
    world.pass_time(5 * HOUR, step=10 * MINUTE)

    assert world.actions() == before
    assert world.status(old).jobs is None
    world.redis_is_away = False
    world.reconcile()
    reach(world, old, Phase.RETIRED)
    assert world.actions() == ["ScaleToZero orders-v1", "RetireQueue orders-v1"]


def test_a_trickle_of_late_jobs_does_not_start_and_stop_workers_for_each(
    world: World, old: VersionKey
) -> None:
    supersede(world)
    reach(world, old, Phase.RETIRED)
    begun = world.now
    for _ in range(20):
        world.queues[old].add(world.now)
        world.pass_time(6 * HOUR, step=10 * MINUTE)
    reach(world, old, Phase.RETIRED, within=5 * DAY)

    assert world.queues[old].done == 30
    assert world.actions(begun) == [
        "RestoreSettings orders-v1",
        "RestoreReplicas orders-v1",
        "ScaleToZero orders-v1",
        "RetireQueue orders-v1",
    ]


def test_a_retired_queue_that_somebody_pauses_is_held_until_they_let_go(
    world: World, old: VersionKey
) -> None:
    supersede(world)
    reach(world, old, Phase.RETIRED)
    queue = world.queues[old]
    queue.paused, queue.has_keys = True, True
    reach(world, old, Phase.HELD)
    world.pass_time(DAY, step=HOUR)

    assert queue.has_keys
    queue.paused = False
    reach(world, old, Phase.RETIRED)
    assert not queue.has_keys
    assert world.actions()[-1] == "SweepRecreated orders-v1"


@pytest.mark.parametrize(
    "phase",
    [
        pytest.param(Phase.DRAINING, id="while it drains"),
        pytest.param(Phase.RETIRING, id="during the delay"),
    ],
)
def test_a_queue_that_is_flushed_and_filled_anew_is_held_until_a_person_approves(
    world: World, old: VersionKey, phase: Phase
) -> None:
    queue = world.queues[old]
    queue.add(world.now, due=world.now + 3 * HOUR)
    supersede(world)
    reach(world, old, phase)
    before = world.actions()
    queue.close()
    queue.configure(concurrency="1")
    queue.add(world.now, 2)
    world.pass_time(2 * DAY, step=HOUR)

    assert world.status(old).phase is Phase.HELD
    assert world.actions() == before
    world.annotate(old, approve="vanished")
    reach(world, old, Phase.RETIRED)
    assert (queue.waiting, queue.has_keys) == (0, False)


@pytest.mark.parametrize(
    "every",
    [
        pytest.param(MINUTE, id="every minute"),
        pytest.param(HOUR, id="every hour"),
    ],
)
def test_replicas_that_a_tool_sets_back_are_held_and_tried_again_until_it_lets_go(
    world: World, old: VersionKey, every: timedelta
) -> None:
    world.fleet(old).fixed_every = every
    supersede(world)
    world.until(lambda: held(world, old) == "ReplicasContested", within=DAY)
    fought = len(world.actions())
    world.pass_time(6 * HOUR)

    assert len(world.actions()) - fought <= 6 * 12 + 1  # once in five minutes
    world.fleet(old).fixed_every = None
    reach(world, old, Phase.RETIRED)
    assert world.fleet(old).replicas == 0


def test_the_pods_of_a_statefulset_are_gone_when_the_last_one_is(world: World) -> None:
    old = world.deploy("1", workers=(WorkloadRef("worker-v1", kind="StatefulSet"),))
    world.queues[old].add(world.now)
    reach(world, old, Phase.CURRENT)
    supersede(world)
    reach(world, old, Phase.RETIRING)
    world.until(lambda: world.status(old).workers_gone_at is not None, within=HOUR)

    (down,) = (at for at, action in world.done if isinstance(action, ScaleToZero))
    assert world.status(old).workers_gone_at == down + 3 * POD_GRACE
    reach(world, old, Phase.RETIRED)


def test_jobs_that_are_out_of_time_move_to_the_new_version_which_does_them(
    world: World, old: VersionKey
) -> None:
    world.edit(old, drain=Drain(timeout=6 * HOUR, on_timeout=OnTimeout.MIGRATE))
    world.queues[old].add(world.now, 3, due=world.now + DAY)
    new = supersede(world)
    began = world.status(old).drain_started_at
    reach(world, old, Phase.RETIRED)
    world.pass_time(DAY, step=HOUR)

    assert world.actions() == [
        "MigrateJobs orders-v1",
        "ScaleToZero orders-v1",
        "RetireQueue orders-v1",
    ]
    assert began is not None
    assert timedelta(0) <= world.done[0][0] - (began + 6 * HOUR) <= MINUTE
    assert world.status(old).retirement.migrated_jobs == 3
    assert (world.queues[old].done, world.queues[new].done) == (10, 4)


def test_a_deadline_that_passes_while_redis_is_away_is_warned_of_before_jobs_move(
    world: World, old: VersionKey
) -> None:
    world.edit(old, drain=Drain(timeout=6 * HOUR, on_timeout=OnTimeout.MIGRATE))
    world.queues[old].add(world.now, 3, due=world.now + 2 * DAY)
    supersede(world)
    world.redis_is_away = True
    world.pass_time(DAY, step=HOUR)
    assert ("orders-v1", "MigrationDue") not in world.said
    world.redis_is_away = False
    world.reconcile()
    back = world.now
    assert ("orders-v1", "MigrationDue") in world.said
    reach(world, old, Phase.RETIRED)

    assert world.actions()[0] == "MigrateJobs orders-v1"
    assert world.done[0][0] == back + 5 * MINUTE
