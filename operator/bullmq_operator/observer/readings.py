"""What was last read of each queue, and for how long it has been quiet."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from bullmq_operator.domain.counts import QueueReading, Unknown
from bullmq_operator.domain.names import QueueId
from bullmq_operator.observer.quiet import QuietWatch


@dataclass(frozen=True, slots=True)
class Seen:
    """One queue at one moment."""

    reading: QueueReading | Unknown
    at: float
    """Monotonic seconds."""
    redis: str | None = None
    """`host:port/db` of the Redis behind the reading."""
    idle_for: timedelta | None = None


@dataclass(slots=True)
class _Entry:
    seen: Seen
    quiet: QuietWatch


class Readings:
    """The last reading of every queue that a version names."""

    def __init__(self) -> None:
        self._entries: dict[QueueId, _Entry] = {}

    def last(self, queue: QueueId) -> Seen | None:
        """What was last seen; None before the first reading."""
        entry = self._entries.get(queue)
        return entry.seen if entry is not None else None

    def known(
        self,
        queue: QueueId,
        reading: QueueReading,
        *,
        redis: str,
        server: str,
        asked_at: float,
        at: float,
    ) -> Seen:
        """A reading that succeeded, of `redis`; `server` names its place, process and history.

        Of two that overlapped, the later one by Redis's clock stands: an older answer that comes
        in last would look like a stamp that went back.
        """
        entry = self._entries.get(queue)
        if entry is not None and _overtaken(entry.seen, reading, asked_at):
            return entry.seen
        quiet = entry.quiet if entry is not None else QuietWatch()
        quiet.read(reading, server, at)
        seen = Seen(reading, at, redis, quiet.idle_for(reading, at))
        if entry is None:
            self._entries[queue] = _Entry(seen, quiet)
        else:
            entry.seen = seen
        return seen

    def unknown(self, queue: QueueId, unknown: Unknown, *, at: float) -> Seen:
        """A reading that failed."""
        entry = self._entries.get(queue)
        quiet = entry.quiet if entry is not None else QuietWatch()
        quiet.gap()
        seen = Seen(unknown, at)
        self._entries[queue] = _Entry(seen, quiet)
        return seen

    def keep_only(self, queues: Collection[QueueId]) -> None:
        """Forget queues that no version names any more."""
        for queue in self._entries.keys() - set(queues):
            del self._entries[queue]


def _overtaken(last: Seen, reading: QueueReading, asked_at: float) -> bool:
    if isinstance(last.reading, Unknown) or asked_at >= last.at:
        return False
    if reading.redis_time is None or last.reading.redis_time is None:
        return False
    return reading.redis_time < last.reading.redis_time
