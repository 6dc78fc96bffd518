"""Workloads down to zero and back, one decision for all the versions that share one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bullmq_operator.domain.blockers import Held
from bullmq_operator.domain.counts import ClientsUnknown
from bullmq_operator.domain.names import VersionKey, WorkloadKey
from bullmq_operator.domain.observation import WorkloadView
from bullmq_operator.domain.plan import Action, Event, RestoreReplicas, ScaleToZero
from bullmq_operator.domain.progress import Progress, Role
from bullmq_operator.domain.reasons import EventReason, HeldReason
from bullmq_operator.domain.status import WorkerStatus
from bullmq_operator.domain.wording import counted

LOOK_AT_PODS = timedelta(seconds=1)
"""Pods are not watched: while some end, they are listed this often."""

LOOK_AT_HELD = timedelta(seconds=30)
"""What waits for a person is looked at less often."""


@dataclass(frozen=True, slots=True)
class _Step:
    """What one workload of one version comes to."""

    status: WorkerStatus
    gone: bool = False
    action: Action | None = None
    event: Event | None = None
    held: Held | None = None
    why: str = ""
    """What is waited for, when not gone."""


def settle(family: Sequence[Progress], now: datetime) -> tuple[Progress, ...]:
    """Decide every workload of the family. A workload is scaled down only once every version that
    names it has let go of it, and comes back only to queues that have their settings."""
    keepers: dict[WorkloadKey, list[VersionKey]] = {}
    withheld: set[WorkloadKey] = set()
    for progress in family:
        version = progress.view.version
        named = [version.workload(view.ref) for view in progress.view.workloads]
        if progress.keeps_workers or progress.frozen:  # an unjudged one keeps what it had
            for key in named:
                keepers.setdefault(key, []).append(version.key)
        if progress.settings_due:
            withheld.update(named)
    return tuple(_settle(progress, keepers, withheld, now) for progress in family)


def _settle(
    progress: Progress,
    keepers: dict[WorkloadKey, list[VersionKey]],
    withheld: set[WorkloadKey],
    now: datetime,
) -> Progress:
    version = progress.view.version
    steps = []
    for view in progress.view.workloads:
        key = version.workload(view.ref)
        needed = sorted({*view.needed_by, *keepers.get(key, [])} - {version.key})
        step = _step(progress, view, needed)
        if key in withheld and isinstance(step.action, RestoreReplicas):
            step = replace(step, action=None)
        steps.append(step)
    status = replace(
        progress.status,
        workers=tuple(sorted((s.status for s in steps), key=lambda w: w.ref)),
        workers_ready=_ready(progress),
    )
    progress = replace(progress, status=status)
    if progress.frozen:
        return progress
    actions = tuple(s.action for s in steps if s.action is not None)
    progress = replace(
        progress,
        actions=(*progress.actions, *actions),
        events=(*progress.events, *(s.event for s in steps if s.event is not None)),
    )
    if progress.keeps_workers or progress.leaves_workers:
        return progress
    return _gone(progress, steps, now)


def _gone(progress: Progress, steps: list[_Step], now: datetime) -> Progress:
    gone = all(s.gone for s in steps)
    held = progress.held or next((s.held for s in steps if s.held is not None), None)
    waiting = "; ".join(s.why for s in steps if s.why)
    pause = LOOK_AT_HELD if any(s.held is not None for s in steps) else LOOK_AT_PODS
    look = progress.look_again if gone else (*progress.look_again, now + pause)
    since = progress.status.workers_gone_at
    if progress.role is Role.DRAIN and progress.proven_empty:
        since = (since or now) if gone else None
    return replace(
        progress,
        status=replace(progress.status, workers_gone_at=since),
        workers_gone=gone,
        held=held,
        why=waiting or progress.why,
        look_again=look,
    )


def _step(progress: Progress, view: WorkloadView, needed: list[VersionKey]) -> _Step:
    old = next((w for w in progress.status.workers if w.ref == view.ref), None)
    known = old or WorkerStatus(view.ref)
    if view.workload is None:
        return _Step(known, gone=known.replicas is not None)
    known = replace(known, replicas=view.workload.replicas)
    if progress.frozen or progress.leaves_workers:
        return _Step(known)
    if progress.keeps_workers:
        return _restore(progress, view, known)
    if needed:
        return _shared(progress, known, view, needed)
    return _down(progress, view, known)


def _restore(progress: Progress, view: WorkloadView, known: WorkerStatus) -> _Step:
    workload = view.workload
    assert workload is not None
    if workload.replicas > 0:
        return _Step(replace(known, restore_replicas=None))
    key = progress.view.version.key
    if known.restore_replicas is not None:
        return _Step(known, action=RestoreReplicas(key, workload, known.restore_replicas))
    reopened = any(e.reason == EventReason.REOPENED for e in progress.events)
    if not reopened or view.scale_to_zero_allowed:
        return _Step(known)
    message = f"{workload.key} is set to 1 replica: how many it had before is not known"
    return _Step(
        replace(known, restore_replicas=1),
        action=RestoreReplicas(key, workload, 1),
        event=Event(key, EventReason.RESTORE_UNKNOWN, message, warning=True),
    )


def _shared(
    progress: Progress, known: WorkerStatus, view: WorkloadView, needed: list[VersionKey]
) -> _Step:
    """A workload another version keeps counts as gone once none of its workers is on this queue."""
    clients = progress.view.clients
    users = ", ".join(str(key) for key in needed)
    name = f"{view.ref.kind} {view.ref.name}"
    if clients == ():
        return _Step(known, gone=True)
    if isinstance(clients, ClientsUnknown):
        detail = f"whether its workers are attached to this queue is unknown: {clients.message}"
    else:
        more = f" and {len(clients) - 1} more" if len(clients) > 1 else ""
        detail = f"its workers are still attached to this queue ({clients[0].address}{more})"
    message = (
        f"{name} is still needed by {users}, and {detail}: point its workers at the newer queue "
        "alone, or retire those versions too"
    )
    return _Step(known, held=Held(HeldReason.WORKER_ATTACHED, message), why=message)


def _down(progress: Progress, view: WorkloadView, known: WorkerStatus) -> _Step:
    workload = view.workload
    assert workload is not None
    if workload.replicas > 0:
        if view.contested_by is not None:
            message = (
                f"{workload.key} is set to 0 for this version and back to {workload.replicas} by "
                f'"{view.contested_by}": leave replicas out of what it applies (Git, an '
                "autoscaler); it is set to 0 again in a few minutes"
            )
            held = Held(HeldReason.REPLICAS_CONTESTED, message)
            return _Step(known, held=held, why=message)
        known = replace(known, restore_replicas=workload.replicas)
        why = f"{workload.key} is being scaled to 0"
        return _Step(known, action=ScaleToZero(progress.view.version.key, workload), why=why)
    if not workload.observed:
        return _Step(known, why=f"{workload.key} is being scaled to 0")
    if view.pods is None:
        return _Step(known, why=f"the Pods of {workload.key} could not be listed")
    if view.pods.total:
        of = f"of {workload.key}"
        why = counted(view.pods.total, f"Pod {of} is still ending", f"Pods {of} are still ending")
        return _Step(known, why=why)
    return _Step(known, gone=True)


def _ready(progress: Progress) -> str | None:
    workloads = [w.workload for w in progress.view.workloads if w.workload is not None]
    if not workloads:
        return None
    ready = sum(w.ready_replicas for w in workloads)
    return f"{ready}/{sum(w.replicas for w in workloads)}"
