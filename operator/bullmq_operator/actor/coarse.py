"""Counts in a status are coarse: what differs only in numbers is written now and then."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from bullmq_operator.domain.names import VersionKey
from bullmq_operator.domain.status import Phase, Status

WHILE_DRAINING_S = 10.0
OTHERWISE_S = 60.0

_WATCHED_CLOSELY = frozenset({Phase.DRAINING, Phase.HELD, Phase.RETIRING})
_NO_TIME = datetime.min.replace(tzinfo=UTC)


def differs_in_numbers_only(old: Status, new: Status) -> bool:
    """Whether nothing but counts, and messages that may hold counts, is different.

    The first counts of all, and counts that became unknown, are more than a number.
    """
    if (old.jobs is None) is not (new.jobs is None):
        return False
    return _without_numbers(old) == _without_numbers(new)


def _without_numbers(status: Status) -> Status:
    conditions = tuple(replace(c, message="", last_transition=_NO_TIME) for c in status.conditions)
    return replace(status, jobs=None, jobs_added=None, workers_ready=None, conditions=conditions)


class CoarseWrites:
    """When each version's status was last written, to space out what is numbers only."""

    def __init__(self) -> None:
        self._written: dict[VersionKey, float] = {}

    def due_in(self, key: VersionKey, old: Status, new: Status, at: float) -> float:
        """Seconds until `new` may be written; 0: now. The first write is never put off."""
        last = self._written.get(key)
        if last is None or not differs_in_numbers_only(old, new):
            return 0.0
        spacing = WHILE_DRAINING_S if new.phase in _WATCHED_CLOSELY else OTHERWISE_S
        return max(last + spacing - at, 0.0)

    def written(self, key: VersionKey, at: float) -> None:
        """A status was written."""
        self._written[key] = at

    def forget(self, key: VersionKey) -> None:
        """The version is gone."""
        self._written.pop(key, None)
