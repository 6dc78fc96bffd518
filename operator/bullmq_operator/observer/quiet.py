"""For how long nothing has happened in a queue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bullmq_operator.domain.counts import QueueCounts, QueueReading

_Facts = tuple[int | None, QueueCounts]


def stamp_time(stamp: str) -> datetime | None:
    """When a stamp was given, by Redis's own clock; None for what is no stream id.

    A stream id is `<milliseconds>-<sequence>`; `0-0` is a stream that never had an entry.
    """
    milliseconds, dash, _ = stamp.partition("-")
    if not dash or not milliseconds.isdecimal() or int(milliseconds) == 0:
        return None
    try:
        return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None


@dataclass(slots=True)
class QuietWatch:
    """One queue's quiet time, from its successive readings.

    The stamp tells it from one reading alone, so it survives our restart. It does not after a
    fail-over: another server may have lost the last entries. Then, and where there is no stream
    or its stamp lies in the future, our own monotonic clock counts how long the id counter and
    the counts have been as they are, from the first reading on.
    """

    server: str | None = None
    _facts: _Facts | None = None
    _stamp: str | None = None
    _unchanged_since: float = 0.0
    _distrusts_stamp: bool = False

    def read(self, reading: QueueReading, server: str, at: float) -> None:
        """Take in a reading of `server` (run id and replication id) at monotonic second `at`."""
        facts = (reading.jobs_added, reading.counts)
        if self.server is not None and (server != self.server or self._went_back(reading.stamp)):
            self._distrusts_stamp = True
            self._unchanged_since = at
        elif facts != self._facts or self._moved(reading.stamp):
            self._unchanged_since = at
        self.server = server
        self._facts = facts
        self._stamp = reading.stamp or self._stamp

    def gap(self) -> None:
        """Reading failed: what happened meanwhile was not seen, so our own count starts anew."""
        self._facts = None

    def idle_for(self, reading: QueueReading, at: float) -> timedelta:
        """The quiet time up to the last `read`, which was of `reading`."""
        unchanged = timedelta(seconds=max(at - self._unchanged_since, 0.0))
        age = _age(reading)
        if age is None:
            return unchanged
        return min(age, unchanged) if self._distrusts_stamp else age

    def _moved(self, stamp: str | None) -> bool:
        return stamp is not None and self._stamp is not None and stamp != self._stamp

    def _went_back(self, stamp: str | None) -> bool:
        if stamp is None or self._stamp is None:
            return False
        return _order(stamp) < _order(self._stamp)


def _order(stamp: str) -> tuple[int, int]:
    milliseconds, _, sequence = stamp.partition("-")
    return int(milliseconds or 0), int(sequence or 0)


def _age(reading: QueueReading) -> timedelta | None:
    """The stamp's age by Redis's clock; None without a stamp, and for one from the future."""
    if reading.stamp is None or reading.redis_time is None:
        return None
    given = stamp_time(reading.stamp)
    if given is None or given > reading.redis_time:
        return None
    return reading.redis_time - given
