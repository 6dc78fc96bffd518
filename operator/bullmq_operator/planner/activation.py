"""When a new version may take over: its workers are ready, and attached to this very queue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bullmq_operator.domain.counts import ClientsUnknown, Unknown
from bullmq_operator.domain.observation import VersionView, WorkloadView
from bullmq_operator.domain.spec import ActivationPolicy, State
from bullmq_operator.domain.wording import clock, counted

LOOK_AT_WORKERS = timedelta(seconds=5)
"""Nothing wakes us when a worker attaches to a queue that has no jobs."""


@dataclass(frozen=True, slots=True)
class ActivationVerdict:
    """Since when a version is activated, or what it waits for."""

    since: datetime | None
    message: str
    """What was proven, or what is waited for."""
    look_again_at: datetime | None = None


def activate(view: VersionView, now: datetime) -> ActivationVerdict:
    """Latched: once activated, later unreadiness does not undo it."""
    spec = view.version.spec
    if view.version.status.current_since is not None:
        return ActivationVerdict(view.version.status.current_since, "activated")
    if spec.state in (State.STOPPED, State.RETIRED):
        return ActivationVerdict(None, f"spec.state is {spec.state}")
    if spec.activation.policy is ActivationPolicy.IMMEDIATE:
        return ActivationVerdict(now, "activation.policy is Immediate")
    if spec.activation.policy is ActivationPolicy.MANUAL:
        return ActivationVerdict(
            None,
            "activation.policy is Manual: set it to Immediate to let this version take over",
        )
    return _workers_ready(view, now)


def _workers_ready(view: VersionView, now: datetime) -> ActivationVerdict:
    if isinstance(view.reading, Unknown):
        return ActivationVerdict(None, f"can't look for attached workers: {view.reading.message}")
    for workload in view.workloads:
        waiting = _not_ready(workload)
        if waiting is not None:
            return ActivationVerdict(None, waiting)
    ready: list[datetime] = []
    for workload in view.workloads:
        if workload.workload is None or workload.workload.replicas == 0:
            continue
        if workload.pods is None or workload.pods.ready_since is None:
            message = f"since when the Pods of {workload.workload.key} are ready is not known yet"
            return ActivationVerdict(None, message, now + LOOK_AT_WORKERS)
        ready.append(workload.pods.ready_since)
    due = max(ready, default=now) + view.version.spec.activation.min_ready
    if ready and due > now:
        return ActivationVerdict(
            None, f"workers are ready; activation.minReady ends at {clock(due)}", due
        )
    return _attached(view, now)


def _attached(view: VersionView, now: datetime) -> ActivationVerdict:
    queue = view.version.queue.name
    if isinstance(view.clients, ClientsUnknown):
        if not view.workloads:
            message = f"can't see attached workers: {view.clients.message}"
            return ActivationVerdict(None, message, now + LOOK_AT_WORKERS)
        return ActivationVerdict(
            now, f"workers are ready; whether they are attached is unknown: {view.clients.message}"
        )
    if view.clients:
        return ActivationVerdict(
            now, f'{counted(len(view.clients), "BullMQ worker connection")} on queue "{queue}"'
        )
    if view.workloads and all(_idle_on_purpose(w) for w in view.workloads):
        return ActivationVerdict(now, "workers are at zero under an autoscaler with minimum 0")
    return ActivationVerdict(
        None,
        f'no BullMQ worker is attached to queue "{queue}": check the queue name, prefix and Redis '
        "that the workers use",
        now + LOOK_AT_WORKERS,
    )


def _not_ready(view: WorkloadView) -> str | None:
    if view.workload is None:
        return f"{view.ref.kind} {view.ref.name} not found: deploy it, or correct spec.workers"
    workload = view.workload
    if workload.replicas == 0:
        if view.scale_to_zero_allowed:
            return None
        return f"{workload.key} is scaled to 0: scale it up"
    if not workload.observed:
        return f"{workload.key}: its newest edit is not rolled out yet"
    if workload.ready_replicas < workload.replicas:
        return f"{workload.key}: {workload.ready_replicas} of {workload.replicas} replicas ready"
    return None


def _idle_on_purpose(view: WorkloadView) -> bool:
    return view.workload is not None and view.workload.replicas == 0 and view.scale_to_zero_allowed
