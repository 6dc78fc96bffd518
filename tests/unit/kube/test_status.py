"""Status to JSON and back: nothing is lost, and nothing is written without need."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given

from bullmq_operator.domain.counts import QueueCounts
from bullmq_operator.domain.spec import WorkloadRef
from bullmq_operator.domain.status import (
    Condition,
    ConditionStatus,
    ConditionType,
    Phase,
    RetirementStatus,
    Status,
    WorkerStatus,
)
from bullmq_operator.kube.status import parse_status, status_patch, status_to_dict
from tests.unit.kube.strategies import statuses

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386, word for word."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = merged(target.get(name), value)
    return target


@given(statuses())
def test_a_status_comes_back_as_it_was_written(status: Status) -> None:
    assert parse_status(json.loads(json.dumps(status_to_dict(status)))) == status


@given(statuses(), statuses())
def test_the_patch_turns_one_status_into_the_other(old: Status, new: Status) -> None:
    stored = status_to_dict(old)
    assert merged(stored, status_patch(stored, new)) == status_to_dict(new)


@given(statuses())
def test_an_unchanged_status_needs_no_write(status: Status) -> None:
    assert status_patch(status_to_dict(status), status) == {}


@given(statuses())
def test_the_order_of_lists_makes_no_difference(status: Status) -> None:
    shuffled = replace(
        status,
        workers=status.workers[::-1],
        conditions=status.conditions[::-1],
        retirement=replace(
            status.retirement, queue_settings=status.retirement.queue_settings[::-1]
        ),
    )
    assert json.dumps(status_to_dict(shuffled)) == json.dumps(status_to_dict(status))


def test_the_patch_names_only_what_changed() -> None:
    old = Status(
        phase=Phase.DRAINING,
        drain_started_at=NOON,
        jobs=QueueCounts(waiting=3),
        retirement=RetirementStatus(stamp="1-0", swept_keys=2),
    )
    new = replace(
        old,
        drain_started_at=None,
        jobs=QueueCounts(waiting=2),
        retirement=RetirementStatus(swept_keys=3),
    )
    assert status_patch(old, new) == {
        "drainStartedAt": None,
        "jobs": {"unfinished": 2, "waiting": 2},
        "retirement": {"stamp": None, "sweptKeys": 3},
    }


def test_unknown_counts_are_absent_and_never_zero() -> None:
    known = Status(jobs=QueueCounts())
    assert status_to_dict(known)["jobs"]["unfinished"] == 0
    assert status_patch(known, replace(known, jobs=None)) == {"jobs": None}


def test_zero_replicas_to_restore_differ_from_none() -> None:
    ref = WorkloadRef("orders")
    (zero,) = status_to_dict(Status(workers=(WorkerStatus(ref, 0, 0),)))["workers"]
    (none,) = status_to_dict(Status(workers=(WorkerStatus(ref),)))["workers"]
    name = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "orders"}
    assert zero == name | {"replicas": 0, "restoreReplicas": 0}
    assert none == name


def test_times_are_utc_and_cut_to_the_second() -> None:
    late = NOON.replace(microsecond=999_999).astimezone(timezone(timedelta(hours=2)))
    condition = Condition(ConditionType.READY, ConditionStatus.TRUE, "Current", "", late)
    written = status_to_dict(Status(drained_at=late, conditions=(condition,)))
    assert written["drainedAt"] == "2026-11-23T12:00:00Z"
    assert written["conditions"][0]["lastTransitionTime"] == "2026-11-23T12:00:00Z"


def test_a_difference_below_a_second_is_no_change() -> None:
    stored = status_to_dict(Status(empty_since=NOON))
    assert status_patch(stored, Status(empty_since=NOON + timedelta(milliseconds=900))) == {}


def test_the_default_that_the_crd_writes_is_understood() -> None:
    waiting = {
        "type": "Ready",
        "status": "Unknown",
        "reason": "WaitingForOperator",
        "message": "Waiting for the operator",
        "lastTransitionTime": "1970-01-01T00:00:00Z",
    }
    parsed = parse_status({"observedGeneration": -1, "phase": "Pending", "conditions": [waiting]})
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert parsed == Status(
        conditions=(
            Condition(
                ConditionType.READY,
                ConditionStatus.UNKNOWN,
                "WaitingForOperator",
                "Waiting for the operator",
                epoch,
            ),
        )
    )


def test_what_a_newer_operator_wrote_is_left_alone() -> None:
    newer = {
        "observedGeneration": 4,
        "phase": "Hibernating",
        "managedBy": "orders",
        "retirement": {"planDigest": "abc", "sweptKeys": 2},
    }
    parsed = parse_status(newer)
    assert parsed == Status(observed_generation=4, retirement=RetirementStatus(swept_keys=2))
    assert status_patch(newer, replace(parsed, reopenings=1)) == {"reopenings": 1}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("2026-11-23T12:00:00", id="without a zone"),
        pytest.param("yesterday", id="no time at all"),
    ],
)
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse_status({"drainedAt": text})
