"""Prove that a superseded queue is empty, or name what keeps it from being so."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from bullmq_operator.domain.blockers import Blocker, Held
from bullmq_operator.domain.counts import QueueReading, Unknown
from bullmq_operator.domain.plan import Event
from bullmq_operator.domain.progress import Progress, Role
from bullmq_operator.domain.reasons import EventReason, HeldReason
from bullmq_operator.domain.status import Status
from bullmq_operator.domain.wording import clock
from bullmq_operator.planner.blockers import STUCK_AFTER, blockers
from bullmq_operator.planner.deadline import (
    deadline_of,
    migrates,
    overdue,
    passed,
    stops_workers,
)
from bullmq_operator.planner.migration import migrate
from bullmq_operator.planner.reopening import moved, reopen

LONGEST_QUIET = timedelta(hours=1)
"""The quiet period doubles at every reopening up to this (a longer one is kept as it is)."""

LOOK_FOR_WORKERS = timedelta(seconds=30)
"""Nothing wakes us when a worker attaches to a queue without jobs, which proves it."""

SAME_MOMENT = timedelta(seconds=5)
"""`emptySince` is computed anew at each look; within this it is the same moment, not news."""


def drain(progress: Progress, now: datetime) -> Progress:
    """Start, prove, reopen. Unknown is not empty: without a reading nothing moves."""
    if progress.role is not Role.DRAIN:
        return progress
    # What activation said or waited for is beside the point now.
    progress = _start(replace(progress, why="", look_again=()), now)
    if progress.unknown is not None:
        return _as_decided(progress)
    reading = progress.view.reading
    if isinstance(reading, Unknown):
        return _as_decided(replace(progress, unknown=(reading.reason, reading.message)))
    missing = _missing(progress)
    if missing is not None:
        return _as_decided(_not_found(progress, missing, now))
    if progress.status.drained_at is not None and moved(progress, reading):
        progress = reopen(progress, reading, now)
        if progress.held is not None:
            return progress
    found = blockers(progress.view, reading)
    progress = replace(progress, blockers=found, status=_since(progress, reading, now))
    if found:
        return _blocked(progress, reading, now)
    return _quiet(progress, reading, now)


def _start(progress: Progress, now: datetime) -> Progress:
    status, spec = progress.status, progress.view.version.spec
    started = status.drain_started_at or now
    deadline = deadline_of(spec, started, status.retirement.late_jobs)
    warned = status.drain_warned_at if migrates(progress) else None
    status = replace(
        status, drain_started_at=started, drain_deadline=deadline, drain_warned_at=warned
    )
    events = progress.events
    detail = progress.view.detail
    if (
        progress.status.drain_started_at is None
        and deadline is not None
        and detail is not None
        and detail.last_delayed is not None
        and detail.last_delayed > deadline
    ):
        message = (
            f"a delayed job is due {clock(detail.last_delayed)}, after the drain's deadline "
            f"{clock(deadline)}: raise drain.timeout, or see to that job"
        )
        key = progress.view.version.key
        event = Event(key, EventReason.DELAYED_BEYOND_DEADLINE, message, warning=True)
        events = (*events, event)
    return replace(progress, status=status, events=events)


def _missing(progress: Progress) -> Held | None:
    """What was never there: a mistake in the spec is likelier than an empty queue."""
    view = progress.view
    for workload in view.workloads:
        if workload.workload is None and not _was_there(progress, workload.ref):
            name = f"{workload.ref.kind} {workload.ref.name}"
            message = (
                f"{name} not found in namespace {view.version.key.namespace}: create it, or "
                "correct spec.workers"
            )
            return Held(HeldReason.WORKLOAD_NOT_FOUND, message)
    if progress.status.queue_first_seen_at is None:
        message = (
            f'queue "{view.version.queue.base.removesuffix(":")}" was never seen in Redis '
            f"{view.redis or ''}: no job was ever added and no worker is attached; check "
            "queueName, prefix and the database number, or delete this object if it was never used"
        )
        return Held(HeldReason.QUEUE_NOT_FOUND, message)
    return None


def _not_found(progress: Progress, missing: Held, now: datetime) -> Progress:
    done = progress.status.retired_at is not None  # it has no more need of what is missing
    return replace(
        progress,
        unknown=(missing.reason, missing.message),
        held=None if done else missing,
        look_again=(*progress.look_again, now + LOOK_FOR_WORKERS),
    )


def _was_there(progress: Progress, ref: object) -> bool:
    return any(w.ref == ref and w.replicas is not None for w in progress.status.workers)


def _as_decided(progress: Progress) -> Progress:
    """Without a verdict what was decided stays: workers neither come nor go. What was let go of
    before is no reason for another version's workload to stay up."""
    let_go = progress.status.drained_at is not None or bool(progress.status.restore_replicas())
    return replace(progress, leaves_workers=True, keeps_workers=not let_go)


def _since(progress: Progress, reading: QueueReading, now: datetime) -> Status:
    if progress.status.drained_at is not None:
        # The proof stands on the stamp; without a stream our own watch starts anew at a restart,
        # which is no news.
        return progress.status
    idle, old = progress.view.idle_for, progress.status.empty_since
    if reading.counts.unfinished or idle is None:
        return replace(progress.status, empty_since=None)
    since = now - idle
    if old is not None and abs(since - old) < SAME_MOMENT:
        since = old
    return replace(progress.status, empty_since=since)


def _blocked(progress: Progress, reading: QueueReading, now: datetime) -> Progress:
    view, look = progress.view, progress.look_again
    if view.clients == () and view.idle_for is not None and view.idle_for < STUCK_AFTER:
        progress = replace(progress, look_again=(*look, now + STUCK_AFTER - view.idle_for))
    if migrates(progress):
        progress = migrate(progress, reading, now)
        if progress.held is not None:
            return progress
    else:
        overrun = passed(progress, now)
        if overrun is not None:
            return overdue(progress, overrun, progress.blockers)
    deadline = progress.status.drain_deadline
    look = () if deadline is None else (deadline,)
    helpless = (b for b in progress.blockers if b.held is not None and not _cured(progress, b))
    held = next(helpless, None)
    if held is None or held.held is None:
        return replace(progress, look_again=(*progress.look_again, *look))
    why = Held(held.held, f"{held.message}: {held.remedy}")
    return replace(progress, held=why, look_again=(*progress.look_again, *look))


def _cured(progress: Progress, blocker: Blocker) -> bool:
    """Whether this very pass brings the missing workers back."""
    if progress.frozen:
        return False
    reopened = any(e.reason == EventReason.REOPENED for e in progress.events)
    workloads = (view.workload for view in progress.view.workloads)
    restorable = any(workload is not None and not workload.replicas for workload in workloads)
    return reopened and restorable and blocker.held is HeldReason.NO_WORKER_ATTACHED


def quiet_period(progress: Progress) -> timedelta:
    """How long the queue must have been idle, doubled at each reopening up to an hour; after late
    jobs a whole `retire.delay`, so that a trickle does not start and stop workers for each job."""
    spec, status = progress.view.version.spec, progress.status
    base = spec.drain.quiet_period
    quiet = max(base, min(base * (1 << min(status.reopenings, 12)), LONGEST_QUIET))
    return max(quiet, spec.retire.delay) if status.retirement.late_jobs else quiet


def _quiet(progress: Progress, reading: QueueReading, now: datetime) -> Progress:
    status = progress.status
    if status.drained_at is None:
        idle, quiet = progress.view.idle_for, quiet_period(progress)
        if idle is None or idle < quiet:
            due = now + (quiet - (idle or timedelta(0)))
            # Past its deadline the workers are at zero; they don't come back to an empty queue.
            keeps = passed(progress, now) is None or not stops_workers(progress)
            look = (*progress.look_again, due)
            return replace(progress, status=status, keeps_workers=keeps, look_again=look)
        retirement = replace(status.retirement, stamp=reading.stamp)
        status = replace(status, drained_at=now, retirement=retirement)
    return replace(progress, status=status, proven_empty=True, keeps_workers=False)
