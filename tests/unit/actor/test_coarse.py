"""Which differences of a status may wait."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bullmq_operator.actor.coarse import (
    OTHERWISE_S,
    WHILE_DRAINING_S,
    CoarseWrites,
    differs_in_numbers_only,
)
from bullmq_operator.domain.counts import QueueCounts
from bullmq_operator.domain.names import VersionKey
from bullmq_operator.domain.status import (
    Condition,
    ConditionStatus,
    ConditionType,
    Phase,
    RetirementStatus,
    Status,
)

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KEY = VersionKey("shop", "orders-v1")
DRAINED = Condition(ConditionType.DRAINED, ConditionStatus.FALSE, "Draining", "5 waiting", NOON, 1)
BEFORE = Status(
    observed_generation=1,
    phase=Phase.DRAINING,
    jobs=QueueCounts(waiting=5),
    jobs_added=5,
    workers_ready="3/3",
    conditions=(DRAINED,),
)
FEWER = replace(
    BEFORE,
    jobs=QueueCounts(waiting=4),
    jobs_added=6,
    workers_ready="2/3",
    conditions=(replace(DRAINED, message="4 waiting"),),
)


def test_counts_and_messages_are_numbers_only() -> None:
    assert differs_in_numbers_only(BEFORE, FEWER)


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(replace(FEWER, phase=Phase.HELD), id="the phase"),
        pytest.param(replace(FEWER, observed_generation=2), id="the generation"),
        pytest.param(
            replace(FEWER, conditions=(replace(DRAINED, status=ConditionStatus.TRUE),)),
            id="a condition's status",
        ),
        pytest.param(
            replace(FEWER, conditions=(replace(DRAINED, reason="Paused"),)), id="its reason"
        ),
        pytest.param(replace(FEWER, conditions=()), id="a condition went"),
        pytest.param(replace(FEWER, drained_at=NOON), id="a date"),
        pytest.param(replace(FEWER, jobs=None), id="counts became unknown"),
        pytest.param(
            replace(FEWER, retirement=RetirementStatus(obliterated_jobs=1)), id="what was deleted"
        ),
    ],
)
def test_everything_else_is_more_than_numbers(after: Status) -> None:
    assert not differs_in_numbers_only(BEFORE, after)
    assert not differs_in_numbers_only(after, BEFORE)


def test_the_first_write_is_never_put_off() -> None:
    assert CoarseWrites().due_in(KEY, BEFORE, FEWER, at=0.0) == 0


@pytest.mark.parametrize(
    ("phase", "spacing"),
    [
        pytest.param(Phase.DRAINING, WHILE_DRAINING_S, id="draining"),
        pytest.param(Phase.HELD, WHILE_DRAINING_S, id="held"),
        pytest.param(Phase.CURRENT, OTHERWISE_S, id="current"),
    ],
)
def test_numbers_alone_wait_for_their_turn(phase: Phase, spacing: float) -> None:
    writes = CoarseWrites()
    writes.written(KEY, at=100.0)
    old, new = replace(BEFORE, phase=phase), replace(FEWER, phase=phase)
    assert writes.due_in(KEY, old, new, at=101.0) == spacing - 1
    assert writes.due_in(KEY, old, new, at=100.0 + spacing) == 0


def test_news_do_not_wait() -> None:
    writes = CoarseWrites()
    writes.written(KEY, at=100.0)
    assert writes.due_in(KEY, BEFORE, replace(FEWER, phase=Phase.RETIRING), at=100.1) == 0
