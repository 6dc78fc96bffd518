"""A queue that was proven empty and is used again: workers come back, or a person is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bullmq_operator.domain.blockers import Held
from bullmq_operator.domain.counts import QueueReading
from bullmq_operator.domain.plan import Event
from bullmq_operator.domain.progress import Progress
from bullmq_operator.domain.reasons import EventReason, HeldReason
from bullmq_operator.domain.spec import LateJobs
from bullmq_operator.domain.status import RetirementStatus
from bullmq_operator.domain.wording import counted
from bullmq_operator.planner.blockers import blockers
from bullmq_operator.planner.deadline import deadline_of


def moved(progress: Progress, reading: QueueReading) -> bool:
    """Whether something happened in the queue since it was proven empty."""
    if reading.counts.unfinished:
        return True
    status = progress.status
    if status.retirement.started_at is not None and reading.jobs_added is None:
        return False  # closed: its stream is gone with it
    if status.retired_at is not None and status.retirement.started_at is not None:
        return reading.jobs_added is not None
    return reading.stamp != status.retirement.stamp


def reopen(progress: Progress, reading: QueueReading, now: datetime) -> Progress:
    """Back to draining, or held where `retire.lateJobs` says so."""
    status, spec = progress.status, progress.view.version.spec
    late = _late(progress, reading)
    left_alone = status.retired_at is not None and spec.retire.late_jobs is LateJobs.HOLD
    if left_alone and reading.counts.unfinished:
        return _leave_late_jobs(progress, reading, late)
    # The old deadline was met; the jobs that came since get the same time again.
    status = replace(
        status,
        drain_started_at=now,
        drain_deadline=deadline_of(spec, now, late),
        drain_warned_at=None,
        drained_at=None,
        empty_since=None,
        workers_gone_at=None,
        retired_at=None,
        reopenings=status.reopenings + 1,
        retirement=RetirementStatus(
            queue_settings=status.retirement.queue_settings,
            obliterated_jobs=status.retirement.obliterated_jobs,
            swept_keys=status.retirement.swept_keys,
            migrated_jobs=status.retirement.migrated_jobs,
            late_jobs=late,
        ),
    )
    unfinished, name = reading.counts.unfinished, progress.view.version.queue.name
    what = counted(unfinished, "unfinished job") if unfinished else "activity in the queue"
    message = f'{what} after queue "{name}" was proven empty: its workers come back to finish it'
    event = Event(progress.view.version.key, EventReason.REOPENED, message, warning=True)
    return replace(progress, status=status, events=(*progress.events, event))


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
    unfinished, name = reading.counts.unfinished, progress.view.version.queue.name
    added = counted(unfinished, "unfinished job was added", "unfinished jobs were added")
    message = (
        f'{added} to the retired queue "{name}":'
        " find the producer that still adds to it; set retire.lateJobs: Reopen to have them "
        "processed, or remove them"
    )
    retirement = replace(progress.status.retirement, late_jobs=late)
    # Nobody works on what is left alone, so no deadline runs.
    return replace(
        progress,
        status=replace(progress.status, retirement=retirement, drain_deadline=None),
        held=Held(HeldReason.STILL_FED, message),
        blockers=blockers(progress.view, reading),
        leaves_workers=True,
    )
