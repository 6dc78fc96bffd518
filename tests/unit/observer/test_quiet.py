"""The quiet time, from successive readings; Redis's clock and ours are both in our hands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bullmq_operator.domain.counts import QueueCounts, QueueReading
from bullmq_operator.observer.quiet import QuietWatch, stamp_time

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SERVER = "run-a replid-a"


def stamp(ago: timedelta, *, now: datetime = NOON, sequence: int = 0) -> str:
    return f"{int((now - ago).timestamp() * 1000)}-{sequence}"


def reading(
    *, stamp: str | None = None, now: datetime = NOON, added: int = 5, done: int = 5
) -> QueueReading:
    return QueueReading(
        QueueCounts(completed=done), jobs_added=added, stamp=stamp, redis_time=now, has_keys=True
    )


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def test_the_first_reading_tells_the_stamp_s_age_by_redis_s_clock() -> None:
    watch = QuietWatch()
    first = reading(stamp=stamp(seconds(90)))
    watch.read(first, SERVER, at=1000.0)
    assert watch.idle_for(first, 1000.0) == seconds(90)


def test_without_a_stream_the_quiet_time_starts_with_our_first_reading() -> None:
    watch = QuietWatch()
    watch.read(reading(), SERVER, at=1000.0)
    later = reading()
    watch.read(later, SERVER, at=1030.0)
    assert watch.idle_for(later, 1030.0) == seconds(30)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(reading(added=6), id="a job was added"),
        pytest.param(reading(done=6), id="a count changed"),
    ],
)
def test_without_a_stream_a_change_starts_it_anew(changed: QueueReading) -> None:
    watch = QuietWatch()
    watch.read(reading(), SERVER, at=1000.0)
    watch.read(changed, SERVER, at=1030.0)
    assert watch.idle_for(changed, 1030.0) == seconds(0)


def test_a_gap_in_the_readings_starts_our_own_count_anew() -> None:
    watch = QuietWatch()
    watch.read(reading(), SERVER, at=1000.0)
    watch.gap()
    again = reading()
    watch.read(again, SERVER, at=1030.0)
    assert watch.idle_for(again, 1030.0) == seconds(0)


def test_a_gap_does_not_touch_what_the_stamp_tells() -> None:
    watch = QuietWatch()
    watch.read(reading(stamp=stamp(seconds(90))), SERVER, at=1000.0)
    watch.gap()
    again = reading(stamp=stamp(seconds(90)), now=NOON + seconds(30))
    watch.read(again, SERVER, at=1030.0)
    assert watch.idle_for(again, 1030.0) == seconds(120)


@pytest.mark.parametrize(
    "server",
    [
        pytest.param("run-b replid-a", id="Redis restarted"),
        pytest.param("run-a replid-b", id="a fail-over"),
    ],
)
def test_after_a_change_of_server_only_our_own_watch_counts(server: str) -> None:
    watch = QuietWatch()
    old = reading(stamp=stamp(seconds(3600)))
    watch.read(old, SERVER, at=1000.0)
    watch.read(old, server, at=1010.0)
    assert watch.idle_for(old, 1010.0) == seconds(0)
    watch.read(old, server, at=1070.0)
    assert watch.idle_for(old, 1070.0) == seconds(60)


def test_after_a_change_of_server_a_younger_stamp_still_shortens_it() -> None:
    watch = QuietWatch()
    watch.read(reading(stamp=stamp(seconds(3600))), SERVER, at=1000.0)
    watch.read(reading(stamp=stamp(seconds(3600))), "run-b replid-b", at=1010.0)
    young = reading(stamp=stamp(seconds(2)))
    watch.read(young, "run-b replid-b", at=1070.0)
    assert watch.idle_for(young, 1070.0) == seconds(0)


def test_a_stamp_that_went_back_is_a_lost_history() -> None:
    watch = QuietWatch()
    watch.read(reading(stamp=stamp(seconds(10))), SERVER, at=1000.0)
    restored = reading(stamp=stamp(seconds(3600)))
    watch.read(restored, SERVER, at=1005.0)
    assert watch.idle_for(restored, 1005.0) == seconds(0)


def test_a_stamp_from_the_future_is_not_believed() -> None:
    watch = QuietWatch()
    future = reading(stamp=stamp(seconds(-60)))
    watch.read(future, SERVER, at=1000.0)
    watch.read(future, SERVER, at=1007.0)
    assert watch.idle_for(future, 1007.0) == seconds(7)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("1772366400000-3", NOON, id="an entry's id"),
        pytest.param("0-0", None, id="a stream without any entry ever"),
        pytest.param("99999999999999999999-0", None, id="beyond any calendar"),
        pytest.param("soon", None, id="no stream id"),
    ],
)
def test_a_stamp_s_time(text: str, expected: datetime | None) -> None:
    assert stamp_time(text) == expected
