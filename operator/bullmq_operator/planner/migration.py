"""`drain.onTimeout: Migrate`: a Warning ahead, then the jobs move to the successor's queue.

Moved jobs don't come back, and their payloads may not fit the new version. So nothing moves but
with a reading at hand, some minutes after the Warning, also where the deadline passed while the
operator or Redis was away. The version's own workers go on: they end what they have, and what
can't be moved.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from bullmq_operator.domain.blockers import Blocker, Held
from bullmq_operator.domain.counts import QueueReading
from bullmq_operator.domain.migration import LeftJobs, LeftReason, MigrationRun, id_prefix
from bullmq_operator.domain.observation import VersionView
from bullmq_operator.domain.plan import Event, MigrateJobs
from bullmq_operator.domain.progress import Progress
from bullmq_operator.domain.reasons import EventReason, HeldReason
from bullmq_operator.domain.wording import clock, counted

NOTICE = timedelta(minutes=5)
"""Between the Warning and the first job that moves: time for a person to say no. A timeout shorter
than that is all the notice there can be."""

LOOK_AGAIN = timedelta(seconds=5)
"""While producers add, or jobs come back from workers: so often a run, at most."""

LOOK_AT_LEFT = timedelta(seconds=30)
"""What could not be moved waits for others: it is tried again less often."""

_MOVABLE = frozenset({"waiting", "paused", "prioritized", "delayed"})
"""Kinds of blockers that a run takes away."""

_LEFT = {
    LeftReason.PENDING_CHILDREN: (
        "job has children that are not done",
        "jobs have children that are not done",
    ),
    LeftReason.TOO_MANY_CHILDREN: (
        "job has too many children to be moved, its own workers have to do it",
        "jobs have too many children to be moved, their own workers have to do them",
    ),
    LeftReason.SCHEDULERS_NEXT: (
        "job is the next run of a scheduler",
        "jobs are the next runs of schedulers",
    ),
    LeftReason.PENDING_DEDUPLICATED: (
        "job holds a deduplicated add that the other queue can't take",
        "jobs hold deduplicated adds that the other queue can't take",
    ),
    LeftReason.NO_JOB: (
        "id in the queue has no job behind it",
        "ids in the queue have no job behind them",
    ),
}
"""What the counts of the queue don't tell."""


def migrate(progress: Progress, reading: QueueReading, now: datetime) -> Progress:
    """Warn, wait, and move, or say why not. For a drain with blockers."""
    if progress.frozen:
        return progress
    progress = _warn(progress, now)
    due = _due(progress)
    if due is None:
        return progress
    if now < due:
        look = (*progress.look_again, due)
        text = f"what no worker has by {clock(due)} moves to {_where(progress)}"
        return replace(progress, look_again=look, remedy_due=text)
    movable = _movable(reading)
    if not movable:
        return progress
    held = _impossible(progress)
    if held is not None:
        return replace(progress, held=held)
    return _move(progress, movable, now)


def _warn(progress: Progress, now: datetime) -> Progress:
    """Once ahead of each deadline; more time (`drain.timeout`) takes it back."""
    status, deadline = progress.status, progress.status.drain_deadline
    notice = _notice(progress)
    if deadline is None or now < deadline - notice:
        look = () if deadline is None else (deadline - notice,)
        status = replace(status, drain_warned_at=None)
        return replace(progress, status=status, look_again=(*progress.look_again, *look))
    if status.drain_warned_at is not None:
        return progress
    progress = replace(progress, status=replace(status, drain_warned_at=now))
    due = max(deadline, now + notice)
    listed = " · ".join(b.message for b in progress.blockers)
    message = (
        f"{listed}: what no worker has by {clock(due)} moves to {_where(progress)} for good "
        "(drain.onTimeout is Migrate); raise drain.timeout, or set onTimeout: Hold, to keep it here"
    )
    event = Event(progress.view.version.key, EventReason.MIGRATION_DUE, message, warning=True)
    return replace(progress, events=(*progress.events, event))


def _notice(progress: Progress) -> timedelta:
    timeout = progress.view.version.spec.drain.timeout
    return NOTICE if timeout is None else min(NOTICE, timeout)


def _due(progress: Progress) -> datetime | None:
    """From when on jobs may move; None: nobody was warned yet."""
    deadline, warned = progress.status.drain_deadline, progress.status.drain_warned_at
    if deadline is None or warned is None:
        return None
    return max(deadline, warned + _notice(progress))


def _movable(reading: QueueReading) -> int:
    counts = reading.counts
    return counts.waiting + counts.paused + counts.prioritized + counts.delayed


def _impossible(progress: Progress) -> Held | None:
    """Why there is no queue to move to."""
    successor, deadline = progress.successor, progress.status.drain_deadline
    assert deadline is not None
    if progress.view.rivals:
        others = ", ".join(map(str, progress.view.rivals))
        why = f"the same queue is named by {others}, so none of its jobs is moved"
        return Held(HeldReason.SHARED_QUEUE, f"{why}: let one QueueVersion name it")
    if successor is None:
        why = "no other version of its family is current on the same Redis and prefix"
    elif successor.version.spec.suspend:
        why = f"version {successor.version.spec.version} is suspended"
    elif successor.rivals:
        others = ", ".join(map(str, successor.rivals))
        why = f"{_where(progress)} is also named by {others}"
    else:
        return None
    listed = " · ".join(b.message for b in progress.blockers)
    message = (
        f"the drain's deadline {clock(deadline)} has passed with {listed}, and there is no queue "
        f"to move them to ({why}); workers go on: see to that, raise drain.timeout, or set "
        "drain.onTimeout to something else"
    )
    return Held(HeldReason.NO_SUCCESSOR, message)


def _move(progress: Progress, movable: int, now: datetime) -> Progress:
    version, successor = progress.view.version, progress.successor
    assert successor is not None
    run = _last_run(progress.view, successor)
    if run is not None and run.outcome.refused is not None:
        held = Held(HeldReason.MIGRATION_REFUSED, f"jobs can't be moved: {run.outcome.message}")
        progress = replace(progress, held=held)
    elif run is not None:
        progress = _name_left(progress, run, movable)
    else:
        progress = _in_hand(progress)
    due = now if run is None else run.ended_at + _pause(run)
    if now < due:
        return replace(progress, look_again=(*progress.look_again, due))
    target, prefix = successor.version, id_prefix(version.spec.version)
    action = MigrateJobs(version.key, version.queue, target.key, target.queue, prefix)
    return replace(progress, actions=(*progress.actions, action))


def _last_run(view: VersionView, successor: VersionView) -> MigrationRun | None:
    """If it was to the same queue."""
    run = view.migration
    return run if run is not None and run.target == successor.version.queue else None


def _pause(run: MigrationRun) -> timedelta:
    outcome = run.outcome
    waits = outcome.refused is not None or (_known_left(run) and not outcome.still_fed)
    return LOOK_AT_LEFT if waits else LOOK_AGAIN


def _known_left(run: MigrationRun) -> tuple[LeftJobs, ...]:
    return tuple(left for left in run.outcome.left if left.reason in _LEFT)


def _name_left(progress: Progress, run: MigrationRun, movable: int) -> Progress:
    """What the last run passed over, by name. Only if that is all there is to be moved does what
    else is known of these jobs (no worker, a pause) need a person."""
    left = _known_left(run)
    if movable > sum(one.count for one in left):
        progress = _in_hand(progress)
    named = tuple(_blocker(one) for one in left)
    return replace(progress, blockers=(*progress.blockers, *named))


def _blocker(left: LeftJobs) -> Blocker:
    names = ", ".join(f'"{job}"' for job in left.examples[:5])
    more = f" and {left.count - 5} more" if left.count > 5 and names else ""
    message = f"not moved: {counted(left.count, *_LEFT[left.reason])} ({names}{more})"
    match left.reason:
        case LeftReason.PENDING_DEDUPLICATED:
            remedy = "let one of the two adds become a job, or remove the job that holds it"
            return Blocker(
                "pending-deduplicated", left.count, message, HeldReason.PENDING_DEDUPLICATED, remedy
            )
        case LeftReason.NO_JOB:
            remedy = "remove these ids from the lists of the queue: nothing is behind them"
            return Blocker("no-job", left.count, message, HeldReason.NOT_MIGRATED, remedy)
    return Blocker("not-moved", left.count, message)


def _in_hand(progress: Progress) -> Progress:
    """No person is needed for what is about to move."""
    blockers = tuple(
        replace(b, held=None, remedy="") if b.kind in _MOVABLE else b for b in progress.blockers
    )
    text = f"what no worker has moves to {_where(progress)}"
    return replace(progress, blockers=blockers, remedy_due=text)


def _where(progress: Progress) -> str:
    successor = progress.successor
    if successor is None:
        return "the queue of the version that is current then"
    return f'queue "{successor.version.queue.name}"'
