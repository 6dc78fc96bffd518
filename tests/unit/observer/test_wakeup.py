"""Which readings wake a family."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bullmq_operator.domain.counts import QueueCounts, QueueReading, Unknown, UnknownReason
from bullmq_operator.domain.names import VersionKey
from bullmq_operator.domain.observation import QueueVersion
from bullmq_operator.domain.spec import Spec, State
from bullmq_operator.domain.status import Phase, Status
from bullmq_operator.observer.wakeup import NUMBERS_EVERY_S, is_watched_closely, wakes

CURRENT = QueueVersion(
    VersionKey("shop", "orders-v1"), "uid", 1, "1", Spec("orders", "1"), Status(phase=Phase.CURRENT)
)
DRAINING = replace(CURRENT, status=Status(phase=Phase.DRAINING))
BUSY = QueueReading(QueueCounts(waiting=5, completed=9), jobs_added=14, has_keys=True, stamp="1-0")
AWAY = Unknown(UnknownReason.UNREACHABLE, "Redis redis:6379/0 can't be reached.")


def counted(**counts: int) -> QueueReading:
    return replace(BUSY, counts=replace(BUSY.counts, **counts))


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(AWAY, id="it can no longer be read"),
        pytest.param(counted(waiting=0), id="nothing is unfinished any more"),
        pytest.param(counted(failed=1), id="a first job failed"),
        pytest.param(replace(BUSY, is_paused=True), id="it was paused"),
        pytest.param(replace(BUSY, jobs_added=None), id="its job counter is gone"),
        pytest.param(replace(BUSY, has_keys=False), id="its keys are gone"),
    ],
)
def test_what_decides_wakes_any_version_at_once(after: QueueReading | Unknown) -> None:
    assert wakes(BUSY, after, CURRENT, since_last_wake=0.0)
    assert wakes(after, BUSY, CURRENT, since_last_wake=0.0)


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(counted(waiting=4), id="a count"),
        pytest.param(replace(BUSY, jobs_added=15), id="the job counter"),
        pytest.param(replace(BUSY, stamp="2-0"), id="the stamp"),
    ],
)
def test_activity_wakes_a_draining_version_at_once_and_a_current_one_now_and_then(
    after: QueueReading,
) -> None:
    assert wakes(BUSY, after, DRAINING, since_last_wake=0.0)
    assert not wakes(BUSY, after, CURRENT, since_last_wake=NUMBERS_EVERY_S - 1)
    assert wakes(BUSY, after, CURRENT, since_last_wake=NUMBERS_EVERY_S)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(BUSY, BUSY, id="nothing changed"),
        pytest.param(BUSY, replace(BUSY, stamp=None), id="the stamp was not asked for"),
        pytest.param(AWAY, replace(AWAY, message="still away"), id="away for the same reason"),
    ],
)
def test_no_news_wakes_nobody(
    before: QueueReading | Unknown, after: QueueReading | Unknown
) -> None:
    assert not wakes(before, after, DRAINING, since_last_wake=float("inf"))


def test_another_reason_to_be_unknown_is_news() -> None:
    other = Unknown(UnknownReason.WRONG_PASSWORD, "refused")
    assert wakes(AWAY, other, CURRENT, since_last_wake=0.0)


@pytest.mark.parametrize(
    ("version", "closely"),
    [
        pytest.param(CURRENT, False, id="current"),
        pytest.param(replace(CURRENT, status=Status()), False, id="pending"),
        pytest.param(DRAINING, True, id="draining"),
        pytest.param(replace(CURRENT, status=Status(phase=Phase.RETIRED)), True, id="retired"),
        pytest.param(
            replace(CURRENT, status=Status(phase=Phase.CURRENT, superseded_by="2")),
            True,
            id="just superseded",
        ),
        pytest.param(
            replace(CURRENT, spec=Spec("orders", "1", state=State.RETIRED)),
            True,
            id="told to retire, not acted on yet",
        ),
    ],
)
def test_who_is_watched_closely(version: QueueVersion, closely: bool) -> None:
    assert is_watched_closely(version) is closely
