"""Whether the queue was ever really there, and whether it still is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bullmq_operator.domain.blockers import Held
from bullmq_operator.domain.counts import QueueReading
from bullmq_operator.domain.progress import Progress, Role
from bullmq_operator.domain.reasons import HeldReason
from bullmq_operator.domain.status import RetirementStatus, Status
from bullmq_operator.domain.wording import counted

APPROVE_VANISHED = "vanished"
"""Value of the approve annotation that goes on with what is left of a queue."""


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
    lost = _lost(status, reading)
    if lost is not None and view.version.approve != APPROVE_VANISHED:
        return _vanished(replace(progress, status=status), lost)
    return replace(progress, status=replace(status, jobs_added=reading.jobs_added))


def _lost(status: Status, reading: QueueReading) -> str | None:
    """What shows that keys went without our doing; None: nothing does.

    BullMQ's job counter only ever grows (`INCR` in every add), and goes with the queue alone. So
    one that is gone, or lower than what is on record, means that another Redis answers, or the same
    without its data. Our own deletion is told by the intent on record.
    """
    before, now = status.jobs_added, reading.jobs_added
    if before is None or status.retirement.started_at is not None:
        return None
    if now is None:
        return "now its job counter is gone" if reading.has_keys else "now its keys are gone"
    if now < before:
        return f"now its job counter says {now} again"
    return None


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


def _vanished(progress: Progress, lost: str) -> Progress:
    queue = progress.view.version.queue.base.removesuffix(":")
    had = counted(progress.status.jobs_added or 0, "job")
    message = (
        f'queue "{queue}" had {had} added to it, and {lost}, in Redis {progress.view.redis}, '
        "without our doing: was it flushed, obliterated by hand, or failed over to a replica that "
        "lacked them? Nothing is scaled down or deleted until you restore the data, or annotate "
        "this object with bullmq-operator.dev/approve=vanished to go on with what is there now"
    )
    held = Held(HeldReason.QUEUE_VANISHED, message)
    if progress.role is Role.DRAIN:
        return replace(progress, held=held, unknown=(HeldReason.QUEUE_VANISHED, message))
    return replace(progress, held=held)
