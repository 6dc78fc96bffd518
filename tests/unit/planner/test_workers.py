"""Workloads down and back: alone, shared, contested, and what a version says while it waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bullmq_operator.domain.counts import AttachedClient, ClientsUnknown
from bullmq_operator.domain.names import VersionKey
from bullmq_operator.domain.observation import Pods, QueueVersion, VersionView, WorkloadView
from bullmq_operator.domain.plan import RestoreReplicas, ScaleToZero
from bullmq_operator.domain.spec import State, WorkloadRef
from bullmq_operator.domain.status import ConditionStatus, ConditionType, WorkerStatus
from bullmq_operator.planner import plan
from tests.support.builders import (
    ATTACHED,
    NOW,
    a_drained,
    a_reading,
    a_status,
    a_version,
    a_view,
    a_workload,
    a_workload_view,
    an_observation,
    condition_of,
    status_of,
)

SHARED = WorkloadRef("worker-shared")
OWN = WorkloadRef("worker-v1")
ENDING = {"workers_gone_at": None, "workers": ()}
OLD = a_drained(workers=(SHARED,), status=dict(ENDING))
"""Proven empty, and its workers are still there."""
TWO = (AttachedClient("10.0.0.9:4000", "bull:x"), AttachedClient("10.0.0.9:4001", "bull:x"))


def with_sibling(sibling: QueueVersion, **old: Any) -> tuple[VersionView, VersionView]:
    return a_view(OLD, **{"clients": (), **old}), a_view(sibling)


def a_sibling(**over: Any) -> QueueVersion:
    return a_version("2", workers=(SHARED,), **over)


@pytest.mark.parametrize(
    "sibling",
    [
        pytest.param(a_sibling(), id="the current one"),
        pytest.param(a_sibling(status=a_status(current_since=None)), id="one that waits to serve"),
        pytest.param(a_sibling(state=State.STOPPED, suspend=True), id="a suspended one"),
    ],
)
def test_a_workload_that_a_sibling_keeps_is_left_and_counts_as_gone(sibling: QueueVersion) -> None:
    result = plan(an_observation(*with_sibling(sibling)))

    assert result.actions == ()
    assert status_of(result, OLD).workers_gone_at == NOW


def test_a_workload_that_another_family_needs_is_left() -> None:
    other = VersionKey("shop", "bills-v1")
    shared = replace(a_workload_view(SHARED), needed_by=(other,))

    result = plan(an_observation(a_view(OLD, clients=(), workloads=(shared,))))

    assert result.actions == ()
    assert status_of(result, OLD).workers_gone_at == NOW


@pytest.mark.parametrize(
    ("clients", "detail"),
    [
        pytest.param(
            ATTACHED, "its workers are still attached to this queue (10.0.0.9:4000)", id="one"
        ),
        pytest.param(
            TWO, "its workers are still attached to this queue (10.0.0.9:4000 and 1 more)", id="two"
        ),
        pytest.param(
            ClientsUnknown("CLIENT is refused"),
            "whether its workers are attached to this queue is unknown: CLIENT is refused",
            id="nobody can tell",
        ),
    ],
)
def test_shared_workers_that_still_listen_to_the_old_queue_need_a_person(
    clients: Any, detail: str
) -> None:
    result = plan(an_observation(*with_sibling(a_sibling(), clients=clients)))

    held = condition_of(result, OLD, ConditionType.HELD)
    assert (held.reason, held.message) == (
        "WorkerAttached",
        f"Deployment worker-shared is still needed by shop/orders-v2, and {detail}: point its "
        "workers at the newer queue alone, or retire those versions too",
    )
    assert result.actions == ()
    assert result.look_again_at == NOW + timedelta(seconds=30)


@pytest.mark.parametrize(
    "sibling",
    [
        pytest.param(a_sibling(state=State.STOPPED), id="is stopped"),
        pytest.param(
            a_drained("2", workers=(SHARED,), status=dict(ENDING)), id="is proven empty too"
        ),
    ],
)
def test_a_shared_workload_goes_once_and_both_know_what_to_restore_when_the_sibling(
    sibling: QueueVersion,
) -> None:
    result = plan(an_observation(*with_sibling(sibling)))

    assert result.actions == (ScaleToZero(OLD.key, a_workload(SHARED)),)
    for version in (OLD, sibling):
        assert status_of(result, version).workers == (WorkerStatus(SHARED, 3, 3),)


def test_a_shared_workload_comes_back_once_for_all_who_need_it() -> None:
    down = (WorkerStatus(SHARED, 0, 3),)
    one = a_version(workers=(SHARED,), state=State.PINNED, status=a_status(workers=down))
    other = a_sibling(status=a_status(workers=down))

    result = plan(an_observation(a_view(one, replicas=0), a_view(other, replicas=0)))

    assert result.actions == (RestoreReplicas(one.key, a_workload(SHARED, 0), 3),)


def test_a_shared_workload_comes_back_for_the_one_that_needs_it() -> None:
    down = (WorkerStatus(SHARED, 0, 3),)
    old = a_drained(workers=(SHARED,), status={"workers": down})
    current = a_sibling(status=a_status(workers=down))

    result = plan(an_observation(a_view(old, replicas=0), a_view(current, replicas=0)))

    assert result.actions == (RestoreReplicas(current.key, a_workload(SHARED, 0), 3),)


@pytest.mark.parametrize(
    ("workload", "told"),
    [
        pytest.param(
            a_workload_view(OWN, 0, pods=Pods(1, terminating=1)),
            "1 Pod of Deployment worker-v1 is still ending",
            id="a Pod is ending",
        ),
        pytest.param(
            a_workload_view(OWN, 0, pods=Pods(2, terminating=2)),
            "2 Pods of Deployment worker-v1 are still ending",
            id="two are",
        ),
        pytest.param(
            a_workload_view(OWN, 0, pods=None),
            "the Pods of Deployment worker-v1 could not be listed",
            id="they could not be listed",
        ),
        pytest.param(
            WorkloadView(OWN, a_workload(OWN, 0, observed=False), pods=Pods()),
            "Deployment worker-v1 is being scaled to 0",
            id="its controller has not seen it yet",
        ),
    ],
)
def test_workers_are_not_gone_while(workload: WorkloadView, told: str) -> None:
    version = a_drained(status={"workers_gone_at": None})

    result = plan(an_observation(a_view(version, replicas=0, workloads=(workload,))))

    down = condition_of(result, version, ConditionType.WORKERS_SCALED_DOWN)
    assert (down.status, down.message) == (ConditionStatus.FALSE, told)
    assert status_of(result, version).workers_gone_at is None
    assert result.look_again_at == NOW + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("seen", "gone"),
    [
        pytest.param(3, True, id="and was there before: somebody deleted it"),
        pytest.param(None, False, id="and never was: perhaps its name is wrong"),
    ],
)
def test_a_workload_that_does_not_exist(seen: int | None, gone: bool) -> None:
    version = a_drained(status={**ENDING, "workers": (WorkerStatus(OWN, seen),)})
    absent = WorkloadView(OWN, None)

    result = plan(an_observation(a_view(version, replicas=0, workloads=(absent,))))

    assert (status_of(result, version).workers_gone_at is not None) is gone
    drained = condition_of(result, version, ConditionType.DRAINED)
    assert (drained.reason == "WorkloadNotFound") is not gone
    held = condition_of(result, version, ConditionType.HELD)
    assert (held.reason == "WorkloadNotFound") is not gone


def test_a_tool_that_fights_for_one_workload_does_not_keep_the_other_up() -> None:
    other = WorkloadRef("worker-b")
    version = a_drained(workers=(OWN, other), status=dict(ENDING))
    fought = replace(a_workload_view(OWN), contested_by="gitops")

    result = plan(an_observation(a_view(version, workloads=(fought, a_workload_view(other)))))

    assert result.actions == (ScaleToZero(version.key, a_workload(other)),)
    held = condition_of(result, version, ConditionType.HELD)
    assert (held.reason, held.message) == (
        "ReplicasContested",
        'Deployment worker-v1 is set to 0 for this version and back to 3 by "gitops": leave '
        "replicas out of what it applies (Git, an autoscaler); it is set to 0 again in a few "
        "minutes",
    )
    assert result.look_again_at == NOW + timedelta(seconds=30)


def test_replicas_that_are_not_known_come_back_as_one_and_it_is_said() -> None:
    version = a_drained(status={"workers": ()})
    late = a_reading(waiting=1, jobs_added=8, stamp="1700000000001-0")

    result = plan(an_observation(a_view(version, replicas=0, reading=late)))

    assert result.actions == (RestoreReplicas(version.key, a_workload(OWN, 0), 1),)
    assert [e.message for e in result.events if e.reason == "RestoreReplicasUnknown"] == [
        "Deployment worker-v1 is set to 1 replica: how many it had before is not known"
    ]
