"""Who is current, who drains, and when nobody can tell."""

from __future__ import annotations

import pytest

from bullmq_operator.domain.observation import QueueVersion
from bullmq_operator.domain.spec import State
from bullmq_operator.domain.status import ConditionType, Phase
from bullmq_operator.planner import plan
from tests.support.builders import a_reading, a_status, a_version, a_view, an_observation

NOT_YET = a_status(current_since=None)
CURRENT, DRAINING, PENDING, STOPPED = (
    Phase.CURRENT,
    Phase.DRAINING,
    Phase.PENDING,
    Phase.STOPPED,
)


@pytest.mark.parametrize(
    ("versions", "phases", "current"),
    [
        pytest.param([a_version("1")], [CURRENT], "1", id="alone"),
        pytest.param(
            [a_version("9"), a_version("10")], [DRAINING, CURRENT], "10", id="ten is above nine"
        ),
        pytest.param(
            [a_version("1", order=2), a_version("2", order=1)],
            [CURRENT, DRAINING],
            "1",
            id="order goes before the version",
        ),
        pytest.param(
            [a_version("1", state=State.PINNED), a_version("2")],
            [CURRENT, CURRENT],
            "2",
            id="a pinned version serves beside the current one",
        ),
        pytest.param(
            [a_version("1"), a_version("2", state=State.RETIRED)],
            [CURRENT, DRAINING],
            "1",
            id="a retired newer version supersedes nobody",
        ),
        pytest.param(
            [a_version("1"), a_version("2", state=State.STOPPED)],
            [CURRENT, STOPPED],
            "1",
            id="nor does a stopped one",
        ),
        pytest.param(
            [a_version("1"), a_version("3f9c2ab")],
            [CURRENT, CURRENT],
            None,
            id="without an order nobody is superseded",
        ),
        pytest.param(
            [a_version("2"), a_version("2.0")], [CURRENT, CURRENT], None, id="nor on a tie"
        ),
    ],
)
def test_phases_of_a_family(
    versions: list[QueueVersion], phases: list[Phase], current: str | None
) -> None:
    busy = a_reading(waiting=1)
    result = plan(an_observation(*(a_view(v, reading=busy) for v in versions)))
    written = dict(result.statuses)

    assert [written[v.key].phase for v in versions] == phases
    assert {s.current_version for s in written.values()} == {current}


def test_a_version_whose_workers_are_not_attached_supersedes_nobody() -> None:
    """Its Pods may be Ready and listen to the old queue."""
    new = a_version("2", status=NOT_YET)
    result = plan(an_observation(a_view(), a_view(new, clients=())))

    assert [s.phase for _, s in result.statuses] == [CURRENT, PENDING]


def test_versions_in_doubt_are_told_what_to_edit() -> None:
    odd = a_version("3f9c2ab")
    written = dict(plan(an_observation(a_view(), a_view(odd))).statuses)
    stalled = written[odd.key].condition(ConditionType.STALLED)

    assert stalled is not None
    assert (stalled.reason, stalled.message) == (
        "OrderUnknown",
        "Configuration: spec.version is not a semantic version, so it has no order, so it is "
        "unknown which version is newer and none is superseded: set spec.order on every version of "
        "family orders",
    )
