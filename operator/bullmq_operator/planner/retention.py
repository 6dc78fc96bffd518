"""Finished jobs of a queue that lives: kept within `spec.retention`.

A queue that drains is left as it is: what is left of it is archived, approved and deleted as a
whole, and nothing may change under that.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from bullmq_operator.domain.counts import QueueReading
from bullmq_operator.domain.plan import PruneFinished
from bullmq_operator.domain.progress import Progress, Role
from bullmq_operator.domain.spec import Keep, Retention

LEAST_PAUSE = timedelta(minutes=1)
"""Between two looks at the same queue: failed children of waiting parents stay above any limit."""
LONGEST_PAUSE = timedelta(hours=1)
SHARE_OF_AGE = 0.1
"""A job may stay for so much longer than its age: nobody looks for it at each moment."""


def prune(progress: Progress, now: datetime) -> Progress:
    """Plan to remove what is due, and when to look again."""
    view, retention = progress.view, progress.view.version.spec.retention
    lives = progress.role in (Role.PENDING, Role.CURRENT) and not view.rivals
    if not retention or not lives or not isinstance(view.reading, QueueReading):
        return progress
    pause = _pause(retention, view.reading)
    if pause is None:
        return progress
    due = now if view.pruned_at is None else view.pruned_at + pause
    if now < due:
        return replace(progress, look_again=(*progress.look_again, due))
    action = PruneFinished(view.version.key, view.version.queue, retention)
    return replace(progress, actions=(*progress.actions, action))


def _pause(retention: Retention, reading: QueueReading) -> timedelta | None:
    """How long a look lasts; None: there is nothing to look for."""
    limits = (
        (retention.completed, reading.counts.completed),
        (retention.failed, reading.counts.failed),
    )
    pauses = (_pause_of(keep, there) for keep, there in limits if keep is not None and there)
    return min((pause for pause in pauses if pause is not None), default=None)


def _pause_of(keep: Keep, there: int) -> timedelta | None:
    if keep.count is not None and there > keep.count:
        return LEAST_PAUSE
    if keep.age is None:
        return None
    return min(max(keep.age * SHARE_OF_AGE, LEAST_PAUSE), LONGEST_PAUSE)
