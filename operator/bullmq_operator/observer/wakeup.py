"""Whether a new reading of a queue can change its family's plan."""

from __future__ import annotations

from bullmq_operator.domain.counts import QueueReading, Unknown
from bullmq_operator.domain.observation import QueueVersion
from bullmq_operator.domain.reasons import HeldReason
from bullmq_operator.domain.spec import State
from bullmq_operator.domain.status import ConditionType, Phase

NUMBERS_EVERY_S = 60.0
"""How often a change that is numbers only may wake a family that does not drain."""

_DRAINING = frozenset({Phase.DRAINING, Phase.HELD, Phase.RETIRING, Phase.RETIRED})


def is_watched_closely(version: QueueVersion) -> bool:
    """Whether the version drains or retires, or is to: then every activity matters."""
    status = version.status
    return (
        status.phase in _DRAINING
        or status.superseded_by is not None
        or version.spec.state in (State.RETIRED, State.STOPPED)
    )


def waits_for_workers(version: QueueVersion) -> bool:
    """Whether a worker that attaches may be all that the version waits for: to be activated, to be
    seen in this Redis at all, or to have its jobs done."""
    status = version.status
    if status.phase is Phase.PENDING:
        return True
    held = status.condition(ConditionType.HELD)
    return is_watched_closely(version) and (
        status.queue_first_seen_at is None
        or (held is not None and held.reason == HeldReason.NO_WORKER_ATTACHED)
    )


def wakes(
    before: QueueReading | Unknown,
    after: QueueReading | Unknown,
    version: QueueVersion,
    since_last_wake: float,
) -> bool:
    """Whether the family should be planned anew, `since_last_wake` seconds after the last time."""
    if decides(before, after):
        return True
    if isinstance(before, Unknown) or isinstance(after, Unknown) or not _activity(before, after):
        return False
    return is_watched_closely(version) or since_last_wake >= NUMBERS_EVERY_S


def decides(before: QueueReading | Unknown, after: QueueReading | Unknown) -> bool:
    """Whether more than numbers changed, of a job or of what can be told."""
    if isinstance(before, Unknown) or isinstance(after, Unknown):
        return _reason(before) != _reason(after)
    return _shape(before) != _shape(after)


def _reason(reading: QueueReading | Unknown) -> str | None:
    return reading.reason if isinstance(reading, Unknown) else None


def _shape(reading: QueueReading) -> tuple[bool, ...]:
    """What decides, whatever the numbers."""
    counts = reading.counts
    return (
        reading.jobs_added is None,
        reading.has_keys,
        reading.is_paused,
        counts.unfinished == 0,
        counts.failed == 0,
    )


def _activity(before: QueueReading, after: QueueReading) -> bool:
    # The clock moves in every reading; a stamp is there only when it was asked for.
    if before.jobs_added != after.jobs_added or before.counts != after.counts:
        return True
    return before.stamp != after.stamp and None not in (before.stamp, after.stamp)
