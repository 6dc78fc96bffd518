"""Each single thing that must stop a deletion which is due in every other way."""

from __future__ import annotations

from typing import Any

import pytest

from bullmq_operator.domain.names import VersionKey
from bullmq_operator.domain.plan import RetireQueue, SweepRecreated
from bullmq_operator.domain.status import ConditionStatus, ConditionType, Phase
from bullmq_operator.planner import plan
from tests.support.builders import (
    LONG_AGO,
    NOW,
    a_drained,
    a_view,
    an_inventory,
    an_observation,
    condition_of,
    nothing_there,
    status_of,
)
from tests.support.strategies import SPOILED

BEGUN = {"retirement": {"started_at": LONG_AGO}}
RETIRED = {**BEGUN, "retired_at": LONG_AGO}


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


@pytest.mark.parametrize(
    "status", [pytest.param(BEGUN, id="before"), pytest.param(RETIRED, id="after")]
)
@pytest.mark.parametrize(
    ("left", "message"),
    [
        pytest.param(
            {"reading": nothing_there(has_keys=True, is_paused=True), "settings": ()},
            'queue "orders/v1" was deleted, and since then somebody paused it, so its key '
            '"bull:orders/v1:meta" is left: if nobody needs the queue, find who still opens it and '
            "remove that key; if it is to be used again, set spec.state: Pinned, or delete this "
            "object",
            id="a pause",
        ),
        pytest.param(
            {
                "reading": nothing_there(has_keys=True),
                "settings": (("concurrency", "1"), ("max", "2")),
            },
            'queue "orders/v1" was deleted, and since then somebody set its concurrency, max, so '
            'its key "bull:orders/v1:meta" is left: if nobody needs the queue, find who still '
            "opens it and remove that key; if it is to be used again, set spec.state: Pinned, or "
            "delete this object",
            id="settings",
        ),
    ],
)
def test_what_somebody_set_on_a_deleted_queue_is_left_and_told(
    left: dict[str, Any], message: str, status: dict[str, Any]
) -> None:
    """It was left with a line in the log, and the version called itself retired."""
    version = a_drained(status=dict(status))

    result = plan(an_observation(a_view(version, replicas=0, **left)))

    assert result.actions == ()
    assert status_of(result, version).phase is Phase.HELD
    held = condition_of(result, version, ConditionType.HELD)
    assert (held.reason, held.message) == ("KeysLeft", message)
    retired = condition_of(result, version, ConditionType.RETIRED)
    assert (retired.status, retired.message) == (ConditionStatus.FALSE, message)
    assert condition_of(result, version, ConditionType.OBLITERATED).message == message
    assert result.look_again_at is not None
    assert result.look_again_at > NOW


def test_keys_of_a_rival_on_a_deleted_queue_are_left_and_told() -> None:
    """The version called itself retired, with no key left."""
    version = a_drained(status=dict(RETIRED))
    rival = VersionKey("shop", "adopter")
    reading = nothing_there(has_keys=True)

    result = plan(an_observation(a_view(version, replicas=0, reading=reading, rivals=(rival,))))

    assert result.actions == ()
    assert condition_of(result, version, ConditionType.HELD).reason == "SharedQueue"


def test_keys_that_a_client_makes_by_itself_are_swept() -> None:
    version = a_drained(status=dict(RETIRED))
    left = {"reading": nothing_there(has_keys=True), "settings": ()}

    result = plan(an_observation(a_view(version, replicas=0, **left)))

    assert result.actions == (SweepRecreated(version.key, version.queue),)
