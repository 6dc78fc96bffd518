"""Each single thing that must stop a deletion which is due in every other way."""

from __future__ import annotations

from typing import Any

import pytest

from bullmq_operator.domain.plan import RetireQueue, SweepRecreated
from bullmq_operator.planner import plan
from tests.support.builders import a_drained, a_view, an_inventory, an_observation
from tests.support.strategies import SPOILED


def destructive(**spoiled: Any) -> list[str]:
    fields = {"replicas": 0, "inventory": an_inventory(), **spoiled}
    result = plan(an_observation(a_view(a_drained(), **fields)))
    kinds = (RetireQueue, SweepRecreated)
    return [type(a).__name__ for a in result.actions if isinstance(a, kinds)]


def test_a_deletion_is_due_when_nothing_is_in_its_way() -> None:
    assert destructive() == ["RetireQueue"]


@pytest.mark.parametrize("spoiled", [pytest.param(s, id=str(s)[:60]) for s in SPOILED if s])
def test_one_thing_in_the_way_is_enough(spoiled: dict[str, Any]) -> None:
    assert destructive(**spoiled) == []
