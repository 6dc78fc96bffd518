"""What a version says of itself at each point of its life: the whole of it, word for word."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bullmq_operator.domain.counts import QueueCounts
from bullmq_operator.domain.observation import Pods, QueueVersion
from bullmq_operator.domain.spec import Drain, Obliterate, Retire, State, WorkloadRef
from bullmq_operator.domain.status import (
    Condition,
    ConditionStatus,
    ConditionType,
    Phase,
    Status,
    WorkerStatus,
)
from bullmq_operator.planner import plan
from tests.support.builders import (
    AWAY,
    LONG_AGO,
    NOW,
    a_drained,
    a_reading,
    a_status,
    a_version,
    a_view,
    a_workload_view,
    an_inventory,
    an_observation,
    condition_of,
    nothing_there,
    status_of,
)

OWN = WorkloadRef("worker-v1")
CLOSED = {
    "retired_at": LONG_AGO,
    "retirement": {"started_at": LONG_AGO, "obliterated_jobs": 1},
}
RETIRE = State.RETIRED


def told(version: QueueVersion, **view: Any) -> list[str]:
    """All conditions, as `kubectl describe` would show them."""
    status = status_of(plan(an_observation(a_view(version, **view))), version)
    return [f"{c.type} {c.status} {c.reason}: {c.message}" for c in status.conditions]


def test_a_version_that_waits_for_its_workers() -> None:
    new = a_version(status=a_status(current_since=None))
    starting = a_workload_view(OWN, pods=Pods(3, ready=3, ready_since=NOW))

    assert told(new, workloads=(starting,)) == [
        "BackendReachable True Connected: counts are read from redis:6379/0",
        "Drained False NotDraining: this version is not asked to drain",
        "Held False NothingHeld: no person is needed",
        "Obliterated False NotYet: this version is not asked to drain",
        "Ready False Activating: Waiting: workers are ready; activation.minReady ends at "
        "2026-03-02T12:00:30Z",
        "Reconciling True Activating: workers are ready; activation.minReady ends at "
        "2026-03-02T12:00:30Z",
        "Retired False NotDraining: this version is not asked to retire",
        "WorkersScaledDown False WorkersNeeded: this version is not asked to drain",
    ]


def test_the_current_version() -> None:
    assert told(a_version()) == [
        "BackendReachable True Connected: counts are read from redis:6379/0",
        "Drained False NotDraining: this version is not asked to drain",
        "Held False NothingHeld: no person is needed",
        "Obliterated False NotYet: this version is not asked to drain",
        'Ready True Current: queue "orders/v1" serves',
        "Retired False NotDraining: this version is not asked to retire",
        "WorkersScaledDown False WorkersNeeded: this version is not asked to drain",
    ]


def test_a_version_whose_redis_is_away() -> None:
    assert told(a_version(state=RETIRE), reading=AWAY) == [
        "BackendReachable False RedisUnreachable: Redis redis:6379 does not answer",
        "Drained Unknown RedisUnreachable: Redis redis:6379 does not answer",
        "Held Unknown RedisUnreachable: Redis redis:6379 does not answer",
        "Obliterated False NotYet: its keys go once it is drained, its workers are gone and "
        "retire.delay is over",
        "Ready Unknown RedisUnreachable: Redis redis:6379 does not answer",
        "Retired False Draining: retirement is under way",
        "WorkersScaledDown False LeftAlone: its workers are left as they are; the condition "
        "Drained says why",
    ]


def test_a_version_that_drains() -> None:
    busy = a_reading(waiting=2, active=1)

    assert told(a_version(state=RETIRE), reading=busy) == [
        "BackendReachable True Connected: counts are read from redis:6379/0",
        "Drained False UnfinishedJobs: 2 waiting · 1 active",
        "Held False NothingHeld: no person is needed",
        "Obliterated False NotYet: its keys go once it is drained, its workers are gone and "
        "retire.delay is over",
        'Ready True Draining: spec.state is Retired; queue "orders/v1" is being finished by its '
        "workers",
        "Retired False Draining: retirement is under way",
        "WorkersScaledDown False WorkersNeeded: its workers go on until the queue is proven empty",
    ]


@pytest.mark.parametrize(
    ("version", "view", "type_", "expected"),
    [
        pytest.param(
            a_version(state=RETIRE),
            {"idle_for": timedelta(seconds=5)},
            ConditionType.DRAINED,
            "False QuietPeriod: nothing is unfinished; drained once nothing has happened for 1m "
            "(idle since 2026-03-02T11:59:55Z)",
            id="empty, not for long enough",
        ),
        pytest.param(
            a_version(
                state=RETIRE,
                drain=Drain(timeout=timedelta(hours=1)),
                status=a_status(drain_started_at=LONG_AGO),
            ),
            {"reading": a_reading(delayed=2)},
            ConditionType.HELD,
            "True DeadlinePassed: the drain's deadline 2026-01-31T13:00:00Z has passed with 2 "
            "delayed; workers go to zero, jobs stay in Redis: raise drain.timeout to go on "
            "draining, or see to these jobs",
            id="its time is up",
        ),
        pytest.param(
            a_drained(status={"workers_gone_at": NOW}),
            {"replicas": 0},
            ConditionType.OBLITERATED,
            "False Waiting: retire.delay ends at 2026-03-03T12:00:00Z; until then a rollback is "
            "cheap",
            id="in its delay",
        ),
        pytest.param(
            a_drained(),
            {"replicas": 0, "inventory": an_inventory()},
            ConditionType.OBLITERATED,
            "False Waiting: the queue is being deleted in small guarded steps",
            id="being deleted",
        ),
        pytest.param(
            a_drained(),
            {"replicas": 0, "inventory": an_inventory(), "failure": "no right to UNLINK"},
            ConditionType.OBLITERATED,
            "False Waiting: the queue is being deleted in small guarded steps; the last try "
            "failed and is repeated: no right to UNLINK",
            id="being deleted, in vain so far",
        ),
        pytest.param(
            a_drained(),
            {"replicas": 0, "reading": a_reading(failed=1)},
            ConditionType.OBLITERATED,
            'False Held: 1 failed job left in queue "orders/v1": retry or remove what failed, or '
            "set retire.failedJobs: Discard to delete it with the queue",
            id="failed jobs are left",
        ),
        pytest.param(
            a_drained(status={"workers_gone_at": None}),
            {"failure": "no right to patch"},
            ConditionType.WORKERS_SCALED_DOWN,
            "False ScalingDown: Deployment worker-v1 is being scaled to 0; the last try failed "
            "and is repeated: no right to patch",
            id="not scaled down so far",
        ),
        pytest.param(
            a_version(status=a_status(workers=(WorkerStatus(OWN, 0, 3),))),
            {"replicas": 0, "failure": "no right to patch"},
            ConditionType.WORKERS_SCALED_DOWN,
            "False Restoring: its workers are being brought back; the last try failed and is "
            "repeated: no right to patch",
            id="not brought back so far",
        ),
        pytest.param(
            a_version(state=State.STOPPED),
            {},
            ConditionType.READY,
            "True Stopped: spec.state is Stopped: workers go to zero, jobs stay in Redis",
            id="stopped",
        ),
        pytest.param(
            a_version(suspend=True),
            {},
            ConditionType.READY,
            "True Current: suspended: Current is what is seen, and nothing is changed",
            id="suspended",
        ),
        pytest.param(
            a_drained(status=dict(CLOSED)),
            {"replicas": 0, "reading": nothing_there()},
            ConditionType.OBLITERATED,
            "True NothingLeft: no key of the queue is left (1 finished job deleted)",
            id="retired",
        ),
        pytest.param(
            a_drained(retire=Retire(obliterate=Obliterate.NEVER)),
            {"replicas": 0},
            ConditionType.OBLITERATED,
            "False NotAsked: retire.obliterate is Never: the queue stays in Redis",
            id="retired, its keys kept",
        ),
        pytest.param(
            a_drained(status=dict(CLOSED)),
            {"replicas": 0, "reading": a_reading(waiting=1, jobs_added=1)},
            ConditionType.LATE_JOBS,
            "True JobsAddedLate: 1 job was added after the queue was retired",
            id="a late job",
        ),
    ],
)
def test_what_is_said(
    version: QueueVersion, view: dict[str, Any], type_: ConditionType, expected: str
) -> None:
    result = plan(an_observation(a_view(version, **view)))

    found = condition_of(result, version, type_)
    assert f"{found.status} {found.reason}: {found.message}" == expected


def test_a_superseded_version_names_the_one_that_took_over() -> None:
    old, new = a_version(), a_version("2")

    result = plan(an_observation(a_view(old, reading=a_reading(active=1)), a_view(new)))

    assert condition_of(result, old, ConditionType.READY).message == (
        'version 2 is current; queue "orders/v1" is being finished by its workers'
    )


def test_counts_are_absent_while_they_are_unknown() -> None:
    known = a_version(status=a_status(jobs=QueueCounts(waiting=1)))

    status = status_of(plan(an_observation(a_view(known, reading=AWAY))), known)

    assert status.jobs is None


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    first = plan(an_observation(a_view()))
    version = a_version(status=status_of(first, a_version()), state=RETIRE)
    later = NOW + timedelta(hours=1)
    view = a_view(version, reading=a_reading(waiting=1))

    result = plan(an_observation(view, now=later))

    times = {c.type: c.last_transition for c in status_of(result, version).conditions}
    assert set(times.values()) == {NOW}
    assert status_of(result, version).phase is Phase.DRAINING
    busy = plan(an_observation(a_view(version), now=later))
    drained = condition_of(busy, version, ConditionType.DRAINED)
    assert (str(drained.status), drained.last_transition) == ("True", later)


def test_the_schema_s_own_condition_does_not_set_the_time_of_the_first_one() -> None:
    """It is of 1970: `kubectl describe` would show a version that waits since then."""
    waiting = Condition(
        ConditionType.READY, ConditionStatus.UNKNOWN, "WaitingForOperator", "", LONG_AGO
    )
    version = a_version(status=Status(observed_generation=-1, conditions=(waiting,)))
    said = plan(an_observation(a_view(version, reading=AWAY)))
    assert condition_of(said, version, ConditionType.READY).last_transition == NOW


def test_a_condition_that_stays_as_it_is_keeps_its_time() -> None:
    away = Condition(
        ConditionType.READY, ConditionStatus.UNKNOWN, AWAY.reason, AWAY.message, LONG_AGO
    )
    version = a_version(status=a_status(observed_generation=1, conditions=(away,)))
    said = plan(an_observation(a_view(version, reading=AWAY)))
    assert condition_of(said, version, ConditionType.READY).last_transition == LONG_AGO


def test_workers_of_a_suspended_version_point_to_what_says_why() -> None:
    version = a_version(state=RETIRE, suspend=True)
    condition = condition_of(
        plan(an_observation(a_view(version))), version, ConditionType.WORKERS_SCALED_DOWN
    )
    assert (condition.reason, condition.message) == (
        "LeftAlone",
        "its workers are left as they are; the condition Ready says why",
    )
