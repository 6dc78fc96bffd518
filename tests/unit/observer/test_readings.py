"""The store of last readings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bullmq_operator.domain.counts import QueueCounts, QueueReading, Unknown, UnknownReason
from bullmq_operator.domain.names import Backend, QueueId, RedisSource
from bullmq_operator.observer.readings import Readings, Seen

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
QUEUE = QueueId(Backend("shop", RedisSource()), "bull", "orders/v1")
REDIS = "redis:6379/0"


def reading(second: int, *, idle_s: int = 60) -> QueueReading:
    """At this second after noon, with an activity so long before noon."""
    stamp = f"{int((NOON - timedelta(seconds=idle_s)).timestamp() * 1000)}-0"
    at = NOON + timedelta(seconds=second)
    return QueueReading(QueueCounts(), stamp=stamp, redis_time=at, jobs_added=1, has_keys=True)


def keep(readings: Readings, one: QueueReading, *, asked_at: float, at: float) -> Seen:
    return readings.known(QUEUE, one, redis=REDIS, server="run", asked_at=asked_at, at=at)


def test_of_two_overlapping_readings_the_later_by_redis_s_clock_stands() -> None:
    readings = Readings()
    newer = keep(readings, reading(2, idle_s=10), asked_at=102.0, at=102.1)
    assert keep(readings, reading(1, idle_s=60), asked_at=101.0, at=102.2) == newer
    assert readings.last(QUEUE) == newer


def test_a_redis_clock_that_was_set_back_does_not_freeze_the_readings() -> None:
    readings = Readings()
    keep(readings, reading(3600), asked_at=100.0, at=100.1)
    after = keep(readings, reading(0), asked_at=105.0, at=105.1)
    assert readings.last(QUEUE) == after


def test_a_failed_reading_is_unknown_and_has_no_quiet_time() -> None:
    readings = Readings()
    keep(readings, reading(0), asked_at=100.0, at=100.1)
    unknown = Unknown(UnknownReason.UNREACHABLE, "away")
    assert readings.unknown(QUEUE, unknown, at=105.0) == Seen(unknown, 105.0)


def test_another_redis_behind_the_same_name_starts_the_quiet_time_anew() -> None:
    readings = Readings()
    keep(readings, reading(0), asked_at=100.0, at=100.1)
    seen = readings.known(
        QUEUE, reading(5), redis="other:6379/0", server="other run", asked_at=105.0, at=105.1
    )
    assert seen.idle_for == timedelta(0)


def test_a_queue_that_nobody_names_any_more_is_forgotten() -> None:
    readings = Readings()
    keep(readings, reading(0), asked_at=100.0, at=100.1)
    readings.keep_only([])
    assert readings.last(QUEUE) is None
