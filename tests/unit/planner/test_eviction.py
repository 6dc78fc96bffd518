"""A Redis that may drop jobs by itself is told of, once as an Event and as long as it is so."""

from __future__ import annotations

import pytest

from bullmq_operator.domain.reasons import EventReason
from bullmq_operator.domain.status import ConditionStatus, ConditionType
from bullmq_operator.planner import plan
from tests.support.builders import a_version, a_view, an_observation, condition_of, written_back

ALLKEYS = "allkeys-lru"


def test_a_policy_that_drops_jobs_is_named_with_the_one_to_set() -> None:
    version = a_version()
    said = plan(an_observation(a_view(version, maxmemory_policy=ALLKEYS)))
    condition = condition_of(said, version, ConditionType.BACKEND_REACHABLE)
    assert (condition.status, condition.reason) == (ConditionStatus.TRUE, "EvictionAllowed")
    assert "maxmemory-policy is allkeys-lru" in condition.message
    assert "noeviction" in condition.message


def test_it_is_one_warning() -> None:
    first = an_observation(a_view(maxmemory_policy=ALLKEYS))
    said = plan(first)
    warnings = [event for event in said.events if event.reason is EventReason.EVICTION_ALLOWED]
    assert [event.warning for event in warnings] == [True]
    assert plan(written_back(first, said)).events == ()


@pytest.mark.parametrize("policy", ["noeviction", None])
def test_a_policy_that_is_right_or_not_told_is_no_warning(policy: str | None) -> None:
    version = a_version()
    said = plan(an_observation(a_view(version, maxmemory_policy=policy)))
    assert condition_of(said, version, ConditionType.BACKEND_REACHABLE).reason == "Connected"
