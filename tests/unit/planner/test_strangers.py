"""Who is still attached when the version's own workers are gone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bullmq_operator.domain.counts import AttachedClient, ClientsUnknown
from bullmq_operator.domain.status import ConditionType, Phase
from bullmq_operator.planner import plan
from tests.support.builders import (
    AWAY,
    NOW,
    a_drained,
    a_view,
    an_observation,
    condition_of,
    nothing_there,
    status_of,
)

LAPTOP = AttachedClient("10.1.2.3:40000", "bull:b3JkZXJzL3Yx:w:laptop")
PYTHON = AttachedClient("10.1.2.4:40001", "bull:orders/v1")
SWEPT = "They stop nothing, and what they write again is swept; stop them where they run"


def said(gone_for: timedelta = timedelta(days=7), **view: Any) -> str:
    """The message about the workers of a version that is being retired."""
    version = a_drained(status={"workers_gone_at": NOW - gone_for})
    result = plan(an_observation(a_view(version, replicas=0, **view)))
    return condition_of(result, version, ConditionType.WORKERS_SCALED_DOWN).message


@pytest.mark.parametrize(
    ("clients", "says"),
    [
        pytest.param((), "no Pod of its workloads is left", id="nobody"),
        pytest.param(
            (LAPTOP,),
            "no Pod of its workloads is left; 1 worker connection from elsewhere: "
            f"10.1.2.3:40000 (bull:b3JkZXJzL3Yx:w:laptop). {SWEPT}",
            id="one, by address and name",
        ),
        pytest.param(
            (LAPTOP, PYTHON, PYTHON, LAPTOP, LAPTOP),
            "no Pod of its workloads is left; 5 worker connections from elsewhere: "
            "10.1.2.3:40000 (bull:b3JkZXJzL3Yx:w:laptop), 10.1.2.4:40001 (bull:orders/v1), "
            f"10.1.2.4:40001 (bull:orders/v1) and 2 more. {SWEPT}",
            id="many",
        ),
        pytest.param(
            ClientsUnknown("Redis redis:6379/0 forbids its user the command CLIENT LIST."),
            "no Pod of its workloads is left; whether workers from elsewhere are attached is "
            "unknown: Redis redis:6379/0 forbids its user the command CLIENT LIST.",
            id="nobody may know",
        ),
    ],
)
def test_what_is_said_of_workers_from_elsewhere(clients: Any, says: str) -> None:
    assert said(clients=clients) == says


def test_pods_that_went_a_moment_ago_are_not_taken_for_strangers() -> None:
    assert said(timedelta(seconds=9), clients=(LAPTOP,)) == "no Pod of its workloads is left"


def test_they_do_not_hold_up_a_retirement() -> None:
    version = a_drained()
    alone, attached = (
        plan(an_observation(a_view(version, replicas=0, clients=clients)))
        for clients in ((), (LAPTOP,))
    )
    assert attached.actions == alone.actions
    assert attached.inventories == alone.inventories


def test_they_are_named_when_the_queue_is_retired() -> None:
    version = a_drained(
        status={
            "retired_at": NOW - timedelta(days=1),
            "retirement": {"started_at": NOW - timedelta(days=1)},
        }
    )
    view = a_view(version, replicas=0, reading=nothing_there(has_keys=True), clients=(LAPTOP,))
    result = plan(an_observation(view))
    assert status_of(result, version).phase is Phase.RETIRED
    message = condition_of(result, version, ConditionType.WORKERS_SCALED_DOWN).message
    assert "10.1.2.3:40000 (bull:b3JkZXJzL3Yx:w:laptop)" in message


def test_a_redis_that_is_away_says_nothing_of_them() -> None:
    message = said(reading=AWAY, clients=ClientsUnknown("Redis is away."))
    assert "elsewhere" not in message
