"""What was last read of each queue, and for how long it has been quiet."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bullmq_operator.domain.counts import QueueReading, Unknown
from bullmq_operator.domain.names import QueueId
from bullmq_operator.observer.quiet import QuietWatch
from bullmq_operator.queues.counts import Row


@dataclass(frozen=True, slots=True)
class Seen:
    """One queue at one moment."""

    reading: QueueReading | Unknown
    at: float
    """Monotonic seconds."""
    redis: str | None = None
    """`host:port/db` of the Redis behind the reading."""
    idle_for: timedelta | None = None
    maxmemory_policy: str | None = None
    """None: Redis did not tell it."""


@dataclass(frozen=True, slots=True)
class Look:
    """One call to Redis; all queues that it told of share it."""

    redis: str
    """`host:port/db`."""
    server: str
    """Its place, process and history."""
    asked_at: float
    """Monotonic seconds, as is `at`, when the answer was here."""
    at: float
    redis_time: datetime
    maxmemory_policy: str | None = None


class Entry:
    """One queue's last reading.

    At nearly every beat nearly every queue is as it was: then only the look is new, and what it
    means for the reading (its times, the quiet time) is worked out when somebody asks.
    """

    __slots__ = ("_look", "_quiet", "_reading", "_row", "_unknown_at")

    def __init__(self) -> None:
        self._reading: QueueReading | Unknown | None = None
        self._row: Row | None = None
        self._look: Look | None = None
        self._quiet = QuietWatch()
        self._unknown_at = 0.0

    @property
    def reading(self) -> QueueReading | Unknown | None:
        """None before the first one. Its time is that of the last change; `seen` has the last."""
        return self._reading

    def seen(self) -> Seen | None:
        """The last reading, None before the first one."""
        if self._reading is None:
            return None
        if isinstance(self._reading, Unknown) or self._look is None:
            return Seen(self._reading, self._unknown_at)
        look = self._look
        reading = replace(self._reading, redis_time=look.redis_time)
        idle_for = self._quiet.idle_for(reading, look.at)
        return Seen(reading, look.at, look.redis, idle_for, look.maxmemory_policy)

    def repeats(self, row: Row, look: Look) -> bool:
        """Whether the same server said the very same again; if so, that is taken in."""
        last = self._look
        if row != self._row or last is None or look.server != last.server:
            return False
        if not _overtaken(last, look):
            self._look = look
        return True

    def known(self, reading: QueueReading, look: Look, row: Row) -> None:
        """A reading that succeeded.

        Of two that overlapped, the later one by Redis's clock stands: an older answer that comes
        in last would look like a stamp that went back.
        """
        if self._look is not None and _overtaken(self._look, look):
            return
        self._quiet.read(reading, look.server, look.at)
        self._reading, self._look, self._row = reading, look, row

    def unknown(self, unknown: Unknown, at: float) -> None:
        """A reading that failed: whatever comes next is news."""
        self._quiet.gap()
        self._reading, self._look, self._row = unknown, None, None
        self._unknown_at = at


class Readings:
    """The last reading of every queue that a version names."""

    def __init__(self) -> None:
        self._entries: dict[QueueId, Entry] = {}

    def entry(self, queue: QueueId) -> Entry:
        """The queue's own, made at the first call."""
        entry = self._entries.get(queue)
        if entry is None:
            entry = self._entries[queue] = Entry()
        return entry

    def last(self, queue: QueueId) -> Seen | None:
        """What was last seen; None before the first reading."""
        entry = self._entries.get(queue)
        return entry.seen() if entry is not None else None

    def keep_only(self, queues: Collection[QueueId]) -> None:
        """Forget queues that no version names any more."""
        for queue in self._entries.keys() - set(queues):
            del self._entries[queue]


def _overtaken(last: Look, look: Look) -> bool:
    return look.asked_at < last.at and look.redis_time < last.redis_time
