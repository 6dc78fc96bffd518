"""`drain.onTimeout: Migrate`: when jobs move, when they don't, and what is said."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from bullmq_operator.domain.counts import RetirementOutcome
from bullmq_operator.domain.migration import (
    LeftJobs,
    LeftReason,
    MigrationOutcome,
    MigrationRefusal,
    MigrationRun,
)
from bullmq_operator.domain.names import VersionKey
from bullmq_operator.domain.observation import Observation, VersionView
from bullmq_operator.domain.plan import MigrateJobs, Plan, RestoreReplicas
from bullmq_operator.domain.spec import Drain, OnTimeout, State, WorkloadRef
from bullmq_operator.domain.status import ConditionStatus, ConditionType, Phase, WorkerStatus
from bullmq_operator.planner import plan
from bullmq_operator.planner.migration import LOOK_AGAIN, LOOK_AT_LEFT, NOTICE
from tests.support.builders import (
    AWAY,
    NOW,
    a_reading,
    a_status,
    a_version,
    a_view,
    an_observation,
    condition_of,
    status_of,
    written_back,
)

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
MIGRATE = Drain(timeout=HOUR, on_timeout=OnTimeout.MIGRATE)
SUCCESSOR = a_view(a_version("2"))
TARGET = SUCCESSOR.version
STRANGER = (VersionKey("elsewhere", "orders"),)


def overdue(
    *,
    drain: Drain = MIGRATE,
    warned_at: datetime | None = NOW - NOTICE,
    started_at: datetime = NOW - HOUR,
    spec: dict[str, Any] | None = None,
    **over: Any,
) -> VersionView:
    """v1, with three delayed jobs and its hour over at this moment, warned of in time."""
    status = a_status(
        superseded_by="2",
        current_version="2",
        drain_started_at=started_at,
        drain_warned_at=warned_at,
        observed_generation=1,
    )
    version = a_version("1", drain=drain, status=status, **(spec or {}))
    fields: dict[str, Any] = {"reading": a_reading(delayed=3), "idle_for": HOUR}
    return a_view(version, **{**fields, **over})


def a_run(ago: timedelta = timedelta(0), **outcome: Any) -> MigrationRun:
    return MigrationRun(TARGET.queue, NOW - ago, MigrationOutcome(**outcome))


def left(reason: LeftReason, count: int = 3) -> tuple[LeftJobs, ...]:
    return (LeftJobs(reason, count, ("a", "b", "c")[:count]),)


def planned(view: VersionView, *others: VersionView) -> tuple[Observation, Plan]:
    observation = an_observation(view, *(others or (SUCCESSOR,)))
    return observation, plan(observation)


def held_for(result: Plan, view: VersionView) -> str | None:
    condition = condition_of(result, view.version, ConditionType.HELD)
    return condition.reason if condition.status is ConditionStatus.TRUE else None


def drained(result: Plan, view: VersionView) -> str:
    return condition_of(result, view.version, ConditionType.DRAINED).message


def test_at_the_deadline_the_jobs_move_and_the_workers_go_on() -> None:
    view = overdue()
    _, result = planned(view)
    expected = MigrateJobs(view.version.key, view.version.queue, TARGET.key, TARGET.queue, "v1-")
    assert result.actions == (expected,)
    assert status_of(result, view.version).phase is Phase.DRAINING
    assert held_for(result, view) is None
    assert drained(result, view) == ('3 delayed; what no worker has moves to queue "orders/v2"')


@pytest.mark.parametrize(
    ("over", "moves"),
    [
        pytest.param({}, True, id="delayed"),
        pytest.param({"reading": a_reading(waiting=1)}, True, id="waiting"),
        pytest.param({"reading": a_reading(prioritized=1)}, True, id="prioritized"),
        pytest.param({"reading": a_reading(paused=1, is_paused=True)}, True, id="paused"),
        pytest.param({"reading": a_reading(active=2)}, False, id="all are with workers"),
        pytest.param({"reading": a_reading(waiting_children=1)}, False, id="parents"),
        pytest.param({"reading": a_reading(schedulers=1)}, False, id="a scheduler alone"),
        pytest.param({"reading": a_reading()}, False, id="nothing is left"),
        pytest.param({"reading": AWAY}, False, id="redis is away"),
        pytest.param({"started_at": NOW - HOUR + SECOND}, False, id="a second too early"),
        pytest.param({"warned_at": None}, False, id="nobody was warned"),
        pytest.param({"warned_at": NOW - NOTICE + SECOND}, False, id="warned too late"),
        pytest.param({"spec": {"suspend": True}}, False, id="suspended"),
        pytest.param({"spec": {"state": State.STOPPED}}, False, id="stopped"),
        pytest.param({"spec": {"state": State.PINNED}}, False, id="it serves"),
        pytest.param({"rivals": STRANGER}, False, id="the queue is another's too"),
        pytest.param({"migration": a_run()}, False, id="a run ended just now"),
        pytest.param({"migration": a_run(LOOK_AGAIN)}, True, id="a run ended a while ago"),
        pytest.param(
            {"migration": a_run(LOOK_AGAIN, left=left(LeftReason.PENDING_CHILDREN))},
            False,
            id="what is left waits for others",
        ),
        pytest.param(
            {"migration": a_run(LOOK_AT_LEFT, left=left(LeftReason.PENDING_CHILDREN))},
            True,
            id="what is left may have become movable",
        ),
        pytest.param(
            {
                "migration": a_run(
                    LOOK_AGAIN, left=left(LeftReason.PENDING_CHILDREN), still_fed=True
                )
            },
            True,
            id="producers add more",
        ),
    ],
)
def test_jobs_move(over: dict[str, Any], moves: bool) -> None:
    _, result = planned(overdue(**over))
    assert any(isinstance(action, MigrateJobs) for action in result.actions) is moves


@pytest.mark.parametrize(
    ("drain", "started_at", "warned"),
    [
        pytest.param(MIGRATE, NOW - HOUR + NOTICE, True, id="five minutes ahead"),
        pytest.param(MIGRATE, NOW - HOUR + NOTICE + SECOND, False, id="before that"),
        pytest.param(MIGRATE, NOW - 9 * HOUR, True, id="long over, as we were away"),
        pytest.param(
            Drain(timeout=NOTICE / 2, on_timeout=OnTimeout.MIGRATE), NOW, True, id="a short timeout"
        ),
        pytest.param(Drain(on_timeout=OnTimeout.MIGRATE), NOW - 9 * HOUR, False, id="no timeout"),
        pytest.param(Drain(timeout=HOUR), NOW - HOUR + NOTICE, False, id="ScaleDown"),
    ],
)
def test_a_warning_is_given(drain: Drain, started_at: datetime, warned: bool) -> None:
    view = overdue(drain=drain, started_at=started_at, warned_at=None)
    observation, result = planned(view)
    assert [e.reason for e in result.events if e.warning].count("MigrationDue") == warned
    assert (status_of(result, view.version).drain_warned_at == NOW) is warned

    again = plan(written_back(observation, result))
    assert "MigrationDue" not in [event.reason for event in again.events]


def test_the_jobs_of_a_deadline_that_passed_unseen_move_five_minutes_after_the_warning() -> None:
    view = overdue(started_at=NOW - 9 * HOUR, warned_at=None)
    _, result = planned(view)
    assert result.actions == ()
    assert result.look_again_at == NOW + NOTICE
    assert '12:05:00Z moves to queue "orders/v2"' in drained(result, view)


def test_more_time_takes_the_warning_back() -> None:
    view = overdue(drain=Drain(timeout=2 * HOUR, on_timeout=OnTimeout.MIGRATE))
    _, result = planned(view)
    assert status_of(result, view.version).drain_warned_at is None
    assert result.look_again_at == NOW + HOUR - NOTICE


def test_a_warning_does_not_outlive_the_policy_that_gave_it() -> None:
    view = overdue(drain=Drain(timeout=HOUR, on_timeout=OnTimeout.HOLD))
    _, result = planned(view)
    assert status_of(result, view.version).drain_warned_at is None


@pytest.mark.parametrize(
    ("others", "why"),
    [
        pytest.param(
            (a_view(a_version("2", state=State.STOPPED)),), "no other version", id="nobody serves"
        ),
        pytest.param((a_view(a_version("2", suspend=True)),), "2 is suspended", id="suspended"),
        pytest.param(
            (a_view(TARGET, rivals=STRANGER),), "also named by elsewhere/orders", id="claimed twice"
        ),
    ],
)
def test_without_a_queue_to_move_to_a_person_is_needed(
    others: tuple[VersionView, ...], why: str
) -> None:
    view = overdue(spec={"state": State.RETIRED})
    _, result = planned(view, *others)
    assert not any(isinstance(action, MigrateJobs) for action in result.actions)
    assert held_for(result, view) == "NoSuccessor"
    assert why in condition_of(result, view.version, ConditionType.HELD).message


def test_workers_do_not_wait_for_a_migration_that_may_fail() -> None:
    ref = WorkloadRef("worker-v1")
    view = overdue(replicas=0)
    status = replace(view.version.status, workers=(WorkerStatus(ref, 0, 3),))
    view = replace(view, version=replace(view.version, status=status))
    _, result = planned(view)
    assert [type(action) for action in result.actions] == [RestoreReplicas, MigrateJobs]


def test_a_refusal_is_told_with_its_way_out_and_tried_again_later() -> None:
    outcome = {"refused": MigrationRefusal.ANOTHER_SLOT, "message": "give both one hash tag."}
    view = overdue(migration=a_run(**outcome))
    _, result = planned(view)
    assert result.actions == ()
    assert result.look_again_at == NOW + LOOK_AT_LEFT
    assert held_for(result, view) == "MigrationRefused"
    assert "one hash tag" in condition_of(result, view.version, ConditionType.HELD).message


def test_what_a_run_to_another_queue_said_does_not_count() -> None:
    outcome = MigrationOutcome(refused=MigrationRefusal.ANOTHER_SLOT, message="far away")
    view = overdue(migration=MigrationRun(a_version("3").queue, NOW, outcome))
    _, result = planned(view)
    assert [type(action) for action in result.actions] == [MigrateJobs]
    assert held_for(result, view) is None


@pytest.mark.parametrize(
    ("reason", "held"),
    [
        pytest.param(LeftReason.PENDING_CHILDREN, None, id="children"),
        pytest.param(LeftReason.TOO_MANY_CHILDREN, None, id="its own workers do it"),
        pytest.param(LeftReason.SCHEDULERS_NEXT, None, id="a scheduler's"),
        pytest.param(LeftReason.PENDING_DEDUPLICATED, "PendingDeduplicated", id="deduplicated"),
        pytest.param(LeftReason.NO_JOB, "NotMigrated", id="no job"),
    ],
)
def test_what_was_left_is_named(reason: LeftReason, held: str | None) -> None:
    view = overdue(migration=a_run(left=left(reason)))
    _, result = planned(view)
    assert drained(result, view).startswith("3 delayed · not moved: 3 ")
    assert '("a", "b", "c")' in drained(result, view)
    assert held_for(result, view) == held


def test_what_is_counted_anyway_is_not_named_twice() -> None:
    view = overdue(reading=a_reading(active=1), migration=a_run(left=left(LeftReason.ACTIVE, 1)))
    _, result = planned(view)
    assert drained(result, view) == "1 active"


@pytest.mark.parametrize(
    ("migration", "held"),
    [
        pytest.param(None, None, id="about to move"),
        pytest.param(a_run(left=left(LeftReason.PENDING_CHILDREN, 2)), None, id="one came since"),
        pytest.param(
            a_run(left=left(LeftReason.TOO_MANY_CHILDREN)), "NoWorkerAttached", id="all stay"
        ),
    ],
)
def test_jobs_that_nobody_works_on_need_a_person_only_if_they_stay(
    migration: MigrationRun | None, held: str | None
) -> None:
    view = overdue(replicas=0, migration=migration)
    _, result = planned(view)
    assert held_for(result, view) == held


def test_a_run_that_failed_says_why_and_is_repeated() -> None:
    view = overdue(failure="Redis forbids RENAME")
    _, result = planned(view)
    assert [type(action) for action in result.actions] == [MigrateJobs]
    assert drained(result, view).endswith(
        "the last try failed and is repeated: Redis forbids RENAME"
    )


def test_moved_jobs_are_counted_and_told_once() -> None:
    view = overdue(outcome=RetirementOutcome(migrated_jobs=3), migration=a_run(migrated_jobs=3))
    observation, result = planned(view)
    assert status_of(result, view.version).retirement.migrated_jobs == 3
    told = [e.message for e in result.events if e.reason == "Migrated"]
    assert told == ['3 unfinished jobs moved to queue "orders/v2"']

    again = plan(written_back(observation, result))
    assert status_of(again, view.version).retirement.migrated_jobs == 3
    assert again.events == ()
