"""The store of last readings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bullmq_operator.domain.counts import QueueCounts, QueueReading, Unknown, UnknownReason
from bullmq_operator.domain.names import Backend, QueueId, RedisSource
from bullmq_operator.observer.readings import Entry, Look, Readings, Seen
from bullmq_operator.queues.counts import Row

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
QUEUE = QueueId(Backend("shop", RedisSource()), "bull", "orders/v1")
REDIS = "redis:6379/0"
AWAY = Unknown(UnknownReason.UNREACHABLE, "away")
ROW: Row = [0, "1", 0, 0, 0, 1, "5-0"]


def look(second: float, *, asked_at: float, at: float, server: str = "run") -> Look:
    """At this second after noon by Redis's clock."""
    return Look(REDIS, server, asked_at, at, NOON + timedelta(seconds=second))


def reading(*, idle_s: int = 60) -> QueueReading:
    """With an activity so long before noon."""
    stamp = f"{int((NOON - timedelta(seconds=idle_s)).timestamp() * 1000)}-0"
    return QueueReading(QueueCounts(), stamp=stamp, jobs_added=1, has_keys=True)


def seen(entry: Entry) -> Seen:
    one = entry.seen()
    assert one is not None
    return one


@pytest.fixture
def entry() -> Entry:
    """Read at noon, a minute after its last activity."""
    entry = Entry()
    entry.known(reading(), look(0, asked_at=100.0, at=100.1), ROW)
    return entry


def test_of_two_overlapping_readings_the_later_by_redis_s_clock_stands() -> None:
    entry = Entry()
    entry.known(reading(idle_s=10), look(2, asked_at=102.0, at=102.1), ROW)
    newer = entry.seen()
    entry.known(reading(), look(1, asked_at=101.0, at=102.2), ROW)
    assert entry.seen() == newer
    assert entry.repeats(ROW, look(1, asked_at=101.0, at=102.2))
    assert entry.seen() == newer


def test_a_redis_clock_that_was_set_back_does_not_freeze_the_readings(entry: Entry) -> None:
    entry.known(reading(), look(-3600, asked_at=105.0, at=105.1), ROW)
    assert seen(entry).at == 105.1
    assert entry.repeats(ROW, look(-3595, asked_at=110.0, at=110.1))
    assert seen(entry).at == 110.1


def test_a_failed_reading_is_unknown_and_has_no_quiet_time(entry: Entry) -> None:
    entry.unknown(AWAY, 105.0)
    assert entry.seen() == Seen(AWAY, 105.0)


def test_the_same_row_again_moves_the_times_and_the_quiet_time_with_them(entry: Entry) -> None:
    assert seen(entry).idle_for == timedelta(seconds=60)
    assert entry.repeats(list(ROW), look(5, asked_at=105.0, at=105.1))
    after = seen(entry)
    assert (after.at, after.idle_for) == (105.1, timedelta(seconds=65))
    assert isinstance(after.reading, QueueReading)
    assert after.reading.redis_time == NOON + timedelta(seconds=5)


def test_without_a_stamp_the_same_row_again_is_quiet_by_our_own_clock() -> None:
    entry = Entry()
    entry.known(QueueReading(QueueCounts()), look(0, asked_at=100.0, at=100.1), ROW)
    entry.repeats(ROW, look(3600, asked_at=107.0, at=107.1))
    assert seen(entry).idle_for == timedelta(seconds=7)


def test_another_row_is_no_repetition(entry: Entry) -> None:
    assert not entry.repeats(["1 0 0 0 0 0 0", *ROW[1:]], look(5, asked_at=105.0, at=105.1))


def test_what_is_as_it_was_before_a_failed_reading_is_news(entry: Entry) -> None:
    """What happened meanwhile was not seen."""
    entry.unknown(AWAY, 105.0)
    assert not entry.repeats(ROW, look(10, asked_at=110.0, at=110.1))


def test_another_redis_behind_the_same_name_starts_the_quiet_time_anew(entry: Entry) -> None:
    elsewhere = look(5, asked_at=105.0, at=105.1, server="other run")
    assert not entry.repeats(ROW, elsewhere)
    entry.known(reading(), elsewhere, ROW)
    assert seen(entry).idle_for == timedelta(0)


def test_a_queue_that_nobody_names_any_more_is_forgotten() -> None:
    readings = Readings()
    readings.entry(QUEUE).unknown(AWAY, 100.0)
    assert readings.last(QUEUE) is not None
    readings.keep_only([])
    assert readings.last(QUEUE) is None


def test_a_queue_that_was_never_read_has_not_been_seen() -> None:
    readings = Readings()
    readings.entry(QUEUE)
    assert readings.last(QUEUE) is None
