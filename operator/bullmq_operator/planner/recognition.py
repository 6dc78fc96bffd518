"""Whether the queue was ever really there, and whether it still is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bullmq_operator.domain.blockers import Held
from bullmq_operator.domain.counts import QueueReading
from bullmq_operator.domain.progress import Progress, Role
from bullmq_operator.domain.reasons import HeldReason
from bullmq_operator.domain.status import RetirementStatus, Status
from bullmq_operator.planner.draining import APPROVE_VANISHED


def recognise(progress: Progress, now: datetime) -> Progress:
    """`meta` alone proves nothing: any `new Queue()` makes it. A job counter or an attached worker
    in this database does."""
    view, status = progress.view, progress.status
    reading = view.reading
    if not isinstance(reading, QueueReading):
        return replace(progress, status=replace(status, jobs=None))
    status = replace(_same_redis(status, view.redis), jobs=reading.counts)
    if status.queue_first_seen_at is None and (
        reading.jobs_added is not None or _attached(progress)
    ):
        status = replace(status, queue_first_seen_at=now)
    vanished = (
        status.jobs_added is not None
        and reading.jobs_added is None
        and not reading.counts.unfinished
        and status.retirement.started_at is None
    )
    if reading.jobs_added is None and status.retirement.started_at is not None:
        status = replace(status, jobs_added=None)  # closed by us: not to be taken for vanished
    if vanished and view.version.approve != APPROVE_VANISHED:
        return _vanished(replace(progress, status=status))
    if reading.jobs_added is not None or vanished:
        status = replace(status, jobs_added=reading.jobs_added)
    return replace(progress, status=status)


def _attached(progress: Progress) -> bool:
    clients = progress.view.clients
    return isinstance(clients, tuple) and bool(clients)


def _same_redis(status: Status, redis: str | None) -> Status:
    """Another Redis means other data: every proof starts anew there."""
    if redis is None or status.redis == redis:
        return status
    if status.redis is None:
        return replace(status, redis=redis)
    return replace(
        status,
        redis=redis,
        queue_first_seen_at=None,
        jobs_added=None,
        empty_since=None,
        drained_at=None,
        workers_gone_at=None,
        retired_at=None,
        retirement=RetirementStatus(),
    )


def _vanished(progress: Progress) -> Progress:
    queue = progress.view.version.queue.base.removesuffix(":")
    message = (
        f'queue "{queue}" had jobs, and now its keys are gone from Redis {progress.view.redis} '
        "without our doing (a flush, or a fail-over to an empty replica?): restore the data, or "
        "annotate this object with bullmq-operator.dev/approve=vanished if it may be let go"
    )
    held = Held(HeldReason.QUEUE_VANISHED, message)
    if progress.role is Role.DRAIN:
        return replace(progress, held=held, unknown=(HeldReason.QUEUE_VANISHED, message))
    return replace(progress, held=held)
