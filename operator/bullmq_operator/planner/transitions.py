"""Events: one for every change a person would want to hear of, none for the rest."""

from __future__ import annotations

from typing import Protocol

from bullmq_operator.domain.plan import Event
from bullmq_operator.domain.progress import Progress, Role
from bullmq_operator.domain.reasons import EVICTION_ALLOWED, EventReason
from bullmq_operator.domain.status import ConditionStatus, ConditionType, Phase, Status
from bullmq_operator.domain.wording import counted


class _Say(Protocol):
    def __call__(self, reason: EventReason, message: str, *, warning: bool = False) -> None: ...


def events(progress: Progress, status: Status) -> tuple[Event, ...]:
    """What is new in `status` beside the one on record."""
    old = progress.view.version.status
    key = progress.view.version.key
    found = list(progress.events)

    def say(reason: EventReason, message: str, *, warning: bool = False) -> None:
        found.append(Event(key, reason, message, warning))

    if old.current_since is None and status.current_since is not None:
        say(EventReason.ACTIVATED, f"may take over: {progress.why}")
    _roles(progress, status, say)
    _migrated(progress, say)
    if old.drained_at is None and status.drained_at is not None:
        say(EventReason.DRAINED, f'queue "{status.queue_name}" is proven empty')
    if old.workers_gone_at is None and status.workers_gone_at is not None:
        say(EventReason.WORKERS_GONE, "no Pod of its workloads is left")
    if old.retirement.started_at is None and status.retirement.started_at is not None:
        say(EventReason.OBLITERATING, f'queue "{status.queue_name}" is being deleted from Redis')
    if old.retired_at is None and status.retired_at is not None:
        jobs = counted(status.retirement.obliterated_jobs, "finished job")
        say(EventReason.RETIRED, f"all that the policy asks is done; {jobs} deleted")
    _attention(progress, status, say)
    return tuple(found)


def _roles(progress: Progress, status: Status, say: _Say) -> None:
    old = progress.view.version.status
    newer = status.superseded_by
    if newer is not None and old.superseded_by is None:
        say(EventReason.SUPERSEDED, f"version {newer} is current: this one drains")
        if old.observed_generation < 0 or (
            old.current_since is None and old.drain_started_at is None
        ):
            say(
                EventReason.SUPERSEDED_ON_ARRIVAL,
                f"version {newer} is higher and already current, so this one drains at once: set "
                "spec.state to Pinned to run both",
                warning=True,
            )
    elif progress.role is Role.DRAIN and old.drain_started_at is None:
        say(EventReason.DRAIN_STARTED, "spec.state is Retired: this version drains")
    if status.phase is Phase.STOPPED and old.phase is not Phase.STOPPED:
        say(EventReason.STOPPED, "workers go to zero, jobs stay in Redis")
    if old.phase is Phase.STOPPED and status.phase is not Phase.STOPPED:
        say(EventReason.RESUMED, "no longer stopped: replicas are restored")


def _migrated(progress: Progress, say: _Say) -> None:
    outcome, run = progress.view.outcome, progress.view.migration
    if outcome is not None and outcome.migrated_jobs:
        where = f'queue "{run.target.name}"' if run is not None else "the current version's queue"
        jobs = counted(outcome.migrated_jobs, "unfinished job")
        say(EventReason.MIGRATED, f"{jobs} moved to {where}")


def _attention(progress: Progress, status: Status, say: _Say) -> None:
    for type_, reason in (
        (ConditionType.HELD, EventReason.HELD),
        (ConditionType.STALLED, EventReason.MISCONFIGURED),
    ):
        new, old = status.condition(type_), progress.view.version.status.condition(type_)
        if new is None or new.status is not ConditionStatus.TRUE:
            continue
        if old is None or old.status is not ConditionStatus.TRUE or old.reason != new.reason:
            say(reason, f"{new.reason}: {new.message}", warning=True)
    _eviction(progress, status, say)


def _eviction(progress: Progress, status: Status, say: _Say) -> None:
    """A Redis that may drop jobs by itself: once, when it is first seen."""
    old, new = (
        one.condition(ConditionType.BACKEND_REACHABLE)
        for one in (progress.view.version.status, status)
    )
    was_told = old is not None and old.reason == EVICTION_ALLOWED
    if new is not None and new.reason == EVICTION_ALLOWED and not was_told:
        say(EventReason.EVICTION_ALLOWED, new.message, warning=True)
