"""When finished jobs are looked through, and when they are left as they are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bullmq_operator.domain.observation import VersionView
from bullmq_operator.domain.plan import PruneFinished
from bullmq_operator.domain.spec import Keep, Retention, State
from bullmq_operator.planner import plan
from bullmq_operator.planner.retention import LEAST_PAUSE, LONGEST_PAUSE
from tests.support.builders import NOW, a_reading, a_status, a_version, a_view, an_observation

TEN = Retention(completed=Keep(count=10))
A_DAY = Retention(failed=Keep(age=timedelta(hours=24)))
SERVES = a_status(current_since=NOW - timedelta(days=1))


def view(retention: Retention, **over: Any) -> VersionView:
    spec = {"retention": retention, "status": SERVES, **over.pop("spec", {})}
    return a_view(a_version(**spec), **{"reading": a_reading(completed=11, failed=1), **over})


def prunes(looked_at: VersionView) -> bool:
    actions = plan(an_observation(looked_at)).actions
    return any(isinstance(action, PruneFinished) for action in actions)


@pytest.mark.parametrize(
    ("retention", "over", "expected"),
    [
        pytest.param(TEN, {}, True, id="more than are to be kept"),
        pytest.param(TEN, {"reading": a_reading(completed=10)}, False, id="as many as are kept"),
        pytest.param(TEN, {"reading": a_reading(failed=11)}, False, id="only failed ones"),
        pytest.param(A_DAY, {}, True, id="there may be an old one"),
        pytest.param(A_DAY, {"reading": a_reading(completed=99)}, False, id="none of that state"),
        pytest.param(Retention(), {}, False, id="no retention"),
        pytest.param(TEN, {"pruned_at": NOW}, False, id="looked through just now"),
        pytest.param(TEN, {"pruned_at": NOW - LEAST_PAUSE}, True, id="a while ago"),
        pytest.param(TEN, {"spec": {"suspend": True}}, False, id="suspended"),
        pytest.param(TEN, {"spec": {"state": State.RETIRED}}, False, id="it drains"),
        pytest.param(TEN, {"spec": {"state": State.STOPPED}}, False, id="it is stopped"),
    ],
)
def test_finished_jobs_are_removed_while_the_queue_lives(
    retention: Retention, over: dict[str, Any], expected: bool
) -> None:
    assert prunes(view(retention, **over)) is expected


@pytest.mark.parametrize(
    ("age", "pause"),
    [
        pytest.param(timedelta(seconds=30), LEAST_PAUSE, id="short"),
        pytest.param(timedelta(hours=1), timedelta(minutes=6), id="an hour"),
        pytest.param(timedelta(days=30), LONGEST_PAUSE, id="long"),
    ],
)
def test_it_looks_again_after_a_tenth_of_the_age(age: timedelta, pause: timedelta) -> None:
    kept = Retention(completed=Keep(age=age))
    assert plan(an_observation(view(kept, pruned_at=NOW))).look_again_at == NOW + pause
