"""Which Pods count, and since when they are ready."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bullmq_operator.domain.names import WorkloadKey
from bullmq_operator.domain.observation import Pods, Workload
from bullmq_operator.kube.pods import pods_view, selector_of


def a_pod(
    *, phase: str = "Running", ready_at: str | None = None, ip: str = "", terminating: bool = False
) -> dict[str, Any]:
    ready = {"type": "Ready", "status": "True" if ready_at else "False"}
    if ready_at:
        ready["lastTransitionTime"] = ready_at
    return {
        "metadata": {"deletionTimestamp": "2026-11-23T12:00:00Z"} if terminating else {},
        "status": {
            "phase": phase,
            "conditions": [{"type": "PodScheduled", "status": "True"}, ready],
            "podIPs": [{"ip": ip}] if ip else [],
        },
    }


def test_no_pod_is_gone() -> None:
    assert pods_view([]) == Pods()


def test_ready_since_is_when_the_last_of_them_became_so() -> None:
    pods = [
        a_pod(ready_at="2026-11-23T12:00:05Z", ip="10.0.0.1"),
        a_pod(ready_at="2026-11-23T12:00:00Z", ip="10.0.0.2"),
        a_pod(),
    ]
    assert pods_view(pods) == Pods(
        total=3,
        ready=2,
        ready_since=datetime(2026, 11, 23, 12, 0, 5, tzinfo=UTC),
        addresses=frozenset({"10.0.0.1", "10.0.0.2"}),
    )


def test_a_terminating_pod_is_there_but_not_ready() -> None:
    pod = a_pod(ready_at="2026-11-23T12:00:00Z", ip="10.0.0.1", terminating=True)
    assert pods_view([pod]) == Pods(total=1, terminating=1, addresses=frozenset({"10.0.0.1"}))


def test_a_pod_that_ended_does_not_keep_its_workload_from_being_gone() -> None:
    """Evicted Pods stay for days, and no controller deletes them at zero replicas."""
    assert pods_view([a_pod(phase="Failed"), a_pod(phase="Succeeded")]) == Pods()


def test_a_pod_without_a_status_counts() -> None:
    assert pods_view([{"metadata": {}}]) == Pods(total=1)


def test_the_selector_names_every_label() -> None:
    key = WorkloadKey("shop", "Deployment", "orders")
    workload = Workload(key, "u", "1", 1, selector=(("app", "orders"), ("tier", "w")))
    assert selector_of(workload) == "app=orders,tier=w"
