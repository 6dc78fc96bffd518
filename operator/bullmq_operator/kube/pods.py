"""The Pods of a workload, as far as the operator looks at them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bullmq_operator.domain.observation import Pods, Workload
from bullmq_operator.kube.values import parse_time

Json = Mapping[str, Any]

_OVER = frozenset({"Succeeded", "Failed"})
"""Phases in which no container runs any more. Evicted Pods stay for long in one of them, and
nothing deletes them when the workload goes to zero."""


def selector_of(workload: Workload) -> str:
    """The label selector of its Pods. `matchExpressions` are left out, which can only find more
    Pods: "gone" is then said later, never too early."""
    return ",".join(f"{label}={value}" for label, value in workload.selector)


def pods_view(pods: Iterable[Json]) -> Pods:
    """Counts the Pods whose containers may run, terminating ones included."""
    alive = [pod for pod in pods if _status(pod).get("phase") not in _OVER]
    ready_times = [
        parse_time(ready["lastTransitionTime"])
        for pod in alive
        if not _is_terminating(pod) and (ready := _ready_condition(pod)) is not None
    ]
    return Pods(
        total=len(alive),
        terminating=sum(map(_is_terminating, alive)),
        ready=len(ready_times),
        ready_since=max(ready_times, default=None),
        addresses=frozenset(address for pod in alive for address in _addresses(pod)),
    )


def _status(pod: Json) -> Json:
    status: Json = pod.get("status") or {}
    return status


def _is_terminating(pod: Json) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _ready_condition(pod: Json) -> Json | None:
    """The condition Ready, when it is True."""
    for condition in _status(pod).get("conditions") or ():
        if condition["type"] == "Ready" and condition["status"] == "True":
            found: Json = condition
            return found
    return None


def _addresses(pod: Json) -> list[str]:
    """Both families of a dual-stack Pod."""
    return [entry["ip"] for entry in _status(pod).get("podIPs") or () if entry.get("ip")]
