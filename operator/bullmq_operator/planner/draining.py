"""Prove that a superseded queue is empty, or name what keeps it from being so."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from bullmq_operator.domain.blockers import Blocker, Held
from bullmq_operator.domain.counts import QueueReading, Unknown
from bullmq_operator.domain.plan import Event
from bullmq_operator.domain.progress import Progress, Role
from bullmq_operator.domain.reasons import (
    QUEUE_NOT_FOUND,
    WORKLOAD_NOT_FOUND,
    EventReason,
    HeldReason,
)
from bullmq_operator.domain.spec import LateJobs, OnTimeout, Spec
from bullmq_operator.domain.status import RetirementStatus, Status
from bullmq_operator.planner.blockers import blockers, clock

LONGEST_QUIET = timedelta(hours=1)
"""The quiet period doubles at every reopening up to this (a longer one is kept as it is)."""

APPROVE_VANISHED = "vanished"
"""Value of the approve annotation that lets go of a queue whose keys are gone."""

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
    unknown = _unjudged(progress)
    if unknown is not None:
        return _as_decided(replace(progress, unknown=unknown))
    assert isinstance(reading, QueueReading)
    if progress.status.drained_at is not None and _moved(progress, reading):
        progress = _reopen(progress, reading, now)
        if progress.held is not None:
            return progress
    found = blockers(progress.view, reading)
    progress = replace(progress, blockers=found, status=_since(progress, reading, now))
    if found:
        return _blocked(progress, found, now)
    return _quiet(progress, reading, now)


def _start(progress: Progress, now: datetime) -> Progress:
    status, spec = progress.status, progress.view.version.spec
    started = status.drain_started_at or now
    deadline = _deadline(spec, started, status.retirement.late_jobs)
    status = replace(status, drain_started_at=started, drain_deadline=deadline)
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


def _deadline(spec: Spec, started: datetime, late_jobs: int) -> datetime | None:
    """None for a queue that was retired before: `retire.lateJobs: Reopen` says that its workers
    stay until a whole `retire.delay` has passed without activity, however long that takes."""
    timeout = spec.drain.timeout
    return None if timeout is None or late_jobs else started + timeout


def _unjudged(progress: Progress) -> tuple[str, str] | None:
    view, status = progress.view, progress.status
    if isinstance(view.reading, Unknown):
        return view.reading.reason, view.reading.message
    for workload in view.workloads:
        if workload.workload is None and not _was_there(progress, workload.ref):
            name = f"{workload.ref.kind} {workload.ref.name}"
            return (
                WORKLOAD_NOT_FOUND,
                f"{name} not found in namespace {view.version.key.namespace}: create it, or "
                "correct spec.workers",
            )
    if status.queue_first_seen_at is None:
        return (
            QUEUE_NOT_FOUND,
            f'queue "{view.version.queue.base.removesuffix(":")}" was never seen in Redis '
            f"{view.redis or ''}: no job was ever added and no worker is attached; check "
            "queueName, prefix and the database number",
        )
    return None


def _was_there(progress: Progress, ref: object) -> bool:
    return any(w.ref == ref and w.replicas is not None for w in progress.status.workers)


def _as_decided(progress: Progress) -> Progress:
    """Without a verdict what was decided stays: workers neither come nor go. What was let go of
    before is no reason for another version's workload to stay up."""
    let_go = progress.status.drained_at is not None or bool(progress.status.restore_replicas())
    return replace(progress, leaves_workers=True, keeps_workers=not let_go)


def _moved(progress: Progress, reading: QueueReading) -> bool:
    """Whether something happened in the queue since it was proven empty."""
    if reading.counts.unfinished:
        return True
    status = progress.status
    if status.retirement.started_at is not None and reading.jobs_added is None:
        return False  # closed: its stream is gone with it
    if status.retired_at is not None and status.retirement.started_at is not None:
        return reading.jobs_added is not None
    return reading.stamp != status.retirement.stamp


def _late(progress: Progress, reading: QueueReading) -> int:
    """How many jobs were added since the queue was retired, as far as BullMQ's counter shows: it
    starts anew in an obliterated queue, and goes on in one that stayed."""
    status = progress.status
    if status.retired_at is None:
        return status.retirement.late_jobs
    added = reading.jobs_added or 0
    if status.retirement.started_at is None:
        added -= progress.view.version.status.jobs_added or 0
        return status.retirement.late_jobs + max(added, 0)
    return max(status.retirement.late_jobs, added)


def _leave_late_jobs(progress: Progress, reading: QueueReading, late: int) -> Progress:
    name = progress.view.version.queue.name
    message = (
        f'{reading.counts.unfinished} unfinished jobs were added to the retired queue "{name}":'
        " find the producer that still adds to it; set retire.lateJobs: Reopen to have them "
        "processed, or remove them"
    )
    retirement = replace(progress.status.retirement, late_jobs=late)
    return replace(
        progress,
        status=replace(progress.status, retirement=retirement),
        held=Held(HeldReason.STILL_FED, message),
        blockers=blockers(progress.view, reading),
        leaves_workers=True,
    )


def _reopen(progress: Progress, reading: QueueReading, now: datetime) -> Progress:
    status, retirement = progress.status, progress.status.retirement
    late = _late(progress, reading)
    spec = progress.view.version.spec
    name = progress.view.version.queue.name
    held = status.retired_at is not None and spec.retire.late_jobs is LateJobs.HOLD
    if held and reading.counts.unfinished:
        return _leave_late_jobs(progress, reading, late)
    # The old deadline was met; the jobs that came since get the same time again.
    status = replace(
        status,
        drain_started_at=now,
        drain_deadline=_deadline(spec, now, late),
        drained_at=None,
        empty_since=None,
        workers_gone_at=None,
        retired_at=None,
        reopenings=status.reopenings + 1,
        retirement=RetirementStatus(
            queue_settings=retirement.queue_settings,
            obliterated_jobs=retirement.obliterated_jobs,
            swept_keys=retirement.swept_keys,
            late_jobs=late,
        ),
    )
    what = (
        f"{reading.counts.unfinished} unfinished jobs"
        if reading.counts.unfinished
        else "activity in the queue"
    )
    message = f'{what} after queue "{name}" was proven empty: its workers come back to finish it'
    event = Event(progress.view.version.key, EventReason.REOPENED, message, warning=True)
    return replace(progress, status=status, events=(*progress.events, event))


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


def _blocked(progress: Progress, found: tuple[Blocker, ...], now: datetime) -> Progress:
    deadline = progress.status.drain_deadline
    if deadline is not None and now >= deadline:
        return _overdue(progress, found)
    look = () if deadline is None else (deadline,)
    held = next((b for b in found if b.held is not None and not _cured(progress, b)), None)
    if held is None or held.held is None:
        return replace(progress, look_again=(*progress.look_again, *look))
    why = Held(held.held, f"{held.message}: {held.remedy}")
    return replace(progress, held=why, look_again=(*progress.look_again, *look))


def _cured(progress: Progress, blocker: Blocker) -> bool:
    """Whether this very pass brings the missing workers back."""
    reopened = any(e.reason == EventReason.REOPENED for e in progress.events)
    restorable = any(w.workload is not None for w in progress.view.workloads)
    return reopened and restorable and blocker.held is HeldReason.NO_WORKER_ATTACHED


def _is_cut_off(progress: Progress, now: datetime) -> bool:
    deadline = progress.status.drain_deadline
    scale_down = progress.view.version.spec.drain.on_timeout is OnTimeout.SCALE_DOWN
    return scale_down and deadline is not None and now >= deadline


def _overdue(progress: Progress, found: tuple[Blocker, ...]) -> Progress:
    deadline = progress.status.drain_deadline
    assert deadline is not None
    down = progress.view.version.spec.drain.on_timeout is OnTimeout.SCALE_DOWN
    what = "workers are at zero, jobs stay in Redis" if down else "workers go on"
    listed = " · ".join(b.message for b in found)
    message = (
        f"the drain's deadline {clock(deadline)} has passed with {listed}; {what}: raise "
        "drain.timeout to go on draining, or see to these jobs"
    )
    return replace(progress, held=Held(HeldReason.DEADLINE_PASSED, message), keeps_workers=not down)


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
            keeps = not _is_cut_off(progress, now)
            look = (*progress.look_again, due)
            return replace(progress, status=status, keeps_workers=keeps, look_again=look)
        retirement = replace(status.retirement, stamp=reading.stamp)
        status = replace(status, drained_at=now, retirement=retirement)
    return replace(progress, status=status, proven_empty=True, keeps_workers=False)
