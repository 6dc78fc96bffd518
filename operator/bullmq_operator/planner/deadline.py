"""A drain's deadline: until when, whether it has passed, and what it does then."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bullmq_operator.domain.blockers import Blocker, Held
from bullmq_operator.domain.progress import Progress
from bullmq_operator.domain.reasons import HeldReason
from bullmq_operator.domain.spec import OnTimeout, Spec
from bullmq_operator.domain.wording import clock


def deadline_of(spec: Spec, started: datetime, late_jobs: int) -> datetime | None:
    """None for a queue that was retired before: `retire.lateJobs: Reopen` says that its workers
    stay until a whole `retire.delay` has passed without activity, however long that takes."""
    timeout = spec.drain.timeout
    return None if timeout is None or late_jobs else started + timeout


def passed(progress: Progress, now: datetime) -> datetime | None:
    """The deadline, if it has passed."""
    deadline = progress.status.drain_deadline
    return deadline if deadline is not None and now >= deadline else None


def stops_workers(progress: Progress) -> bool:
    """Whether a passed deadline takes the workers away, rather than only telling."""
    return progress.view.version.spec.drain.on_timeout is OnTimeout.SCALE_DOWN


def migrates(progress: Progress) -> bool:
    """Whether a passed deadline moves the jobs to the successor's queue."""
    return progress.view.version.spec.drain.on_timeout is OnTimeout.MIGRATE


def overdue(progress: Progress, deadline: datetime, found: tuple[Blocker, ...]) -> Progress:
    """Held: its time is up, and this is left."""
    stops = stops_workers(progress)
    what = "workers go to zero, jobs stay in Redis" if stops else "workers go on"
    listed = " · ".join(b.message for b in found)
    message = (
        f"the drain's deadline {clock(deadline)} has passed with {listed}; {what}: raise "
        "drain.timeout to go on draining, or see to these jobs"
    )
    held = Held(HeldReason.DEADLINE_PASSED, message)
    return replace(progress, held=held, keeps_workers=not stops)
