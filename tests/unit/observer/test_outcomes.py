"""What was deleted is counted once."""

from __future__ import annotations

from bullmq_operator.domain.counts import RetirementOutcome
from bullmq_operator.domain.names import VersionKey
from bullmq_operator.observer.outcomes import Outcomes

KEY = VersionKey("shop", "orders-v1")
FIRST = RetirementOutcome(obliterated_jobs=100, stopped_by="LateJob")
THEN = RetirementOutcome(obliterated_jobs=20, swept_keys=3, closed=True)


def test_what_no_status_holds_yet_adds_up() -> None:
    outcomes = Outcomes()
    outcomes.put(KEY, FIRST)
    outcomes.put(KEY, THEN)
    assert outcomes.last(KEY) == RetirementOutcome(120, 3, closed=True)


def test_what_a_status_holds_is_not_told_again() -> None:
    outcomes = Outcomes()
    outcomes.put(KEY, FIRST)
    outcomes.recorded(KEY, FIRST)
    assert outcomes.last(KEY) is None
