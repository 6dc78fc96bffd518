"""A version that serves again, or never stopped serving: no drain clock runs."""

from __future__ import annotations

from dataclasses import replace

from bullmq_operator.domain.counts import QueueReading
from bullmq_operator.domain.plan import Event
from bullmq_operator.domain.progress import Progress, Role
from bullmq_operator.domain.reasons import EventReason
from bullmq_operator.domain.status import RetirementStatus


def forget_drain(progress: Progress) -> Progress:
    """Rolling back means: stop deleting. The queue's settings stay on record until they are seen to
    be back (`settings`), since an obliterated queue has lost them."""
    if progress.role is Role.DRAIN:
        return progress
    keeps = progress.role is not Role.STOPPED
    progress = replace(progress, keeps_workers=keeps)
    status = progress.status
    if status.drain_started_at is None and status.drained_at is None and status.retired_at is None:
        return progress
    retirement = RetirementStatus(queue_settings=status.retirement.queue_settings)
    closed = status.retirement.started_at is not None
    clean = replace(
        status,
        # Deleting had begun: without the intent on record, a counter that is gone would be taken
        # for one that vanished. The next reading sets it, if it is still there.
        jobs_added=_jobs_added(progress) if closed else status.jobs_added,
        drain_started_at=None,
        drain_deadline=None,
        drain_warned_at=None,
        empty_since=None,
        drained_at=None,
        workers_gone_at=None,
        retired_at=None,
        reopenings=0,
        retirement=retirement,
    )
    if progress.role is not Role.CURRENT:
        return replace(progress, status=clean)
    lost = closed and _jobs_added(progress) is None and status.jobs is not None
    note = " (its queue was obliterated, so it starts empty)" if lost else ""
    message = f"serves again: its drain is called off and its workers are restored{note}"
    event = Event(progress.view.version.key, EventReason.ROLLED_BACK, message)
    return replace(progress, status=clean, events=(*progress.events, event))


def _jobs_added(progress: Progress) -> int | None:
    reading = progress.view.reading
    return reading.jobs_added if isinstance(reading, QueueReading) else None
