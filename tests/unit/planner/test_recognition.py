"""Whether a queue was ever there, and whether what went of it went by our doing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bullmq_operator.domain.observation import QueueVersion, VersionView
from bullmq_operator.domain.spec import State
from bullmq_operator.domain.status import ConditionStatus, ConditionType, Phase
from bullmq_operator.planner import plan
from tests.support.builders import (
    ATTACHED,
    LONG_AGO,
    NOW,
    REDIS,
    a_drained,
    a_reading,
    a_status,
    a_version,
    a_view,
    an_observation,
    condition_of,
    nothing_there,
    status_of,
    written_back,
)

UNSEEN = a_version(status=a_status(queue_first_seen_at=None, jobs_added=None, redis=None))


@pytest.mark.parametrize(
    ("view", "seen"),
    [
        pytest.param({"reading": a_reading(), "clients": ()}, NOW, id="a job was added here"),
        pytest.param({"reading": nothing_there()}, NOW, id="a worker is attached"),
        pytest.param(
            {"reading": nothing_there(has_keys=True), "clients": ()},
            None,
            id="meta alone, as any client makes it",
        ),
    ],
)
def test_what_proves_a_queue(view: dict[str, Any], seen: object) -> None:
    result = plan(an_observation(a_view(UNSEEN, **view)))

    assert status_of(result, UNSEEN).queue_first_seen_at == seen


def test_another_redis_means_that_every_proof_starts_anew() -> None:
    version = a_drained(status={"retired_at": LONG_AGO, "retirement": {"started_at": LONG_AGO}})
    elsewhere = a_view(version, replicas=0, redis="other:6379/0", reading=nothing_there())

    status = status_of(plan(an_observation(elsewhere)), version)

    assert (status.redis, status.queue_first_seen_at) == ("other:6379/0", None)
    assert (status.drained_at, status.retired_at, status.retirement.started_at) == (None,) * 3
    assert status.phase is Phase.HELD


def test_a_queue_that_was_never_seen_needs_a_person_and_is_looked_for_again() -> None:
    """It said that no person was needed, and waited for ever."""
    version = a_version(state=State.RETIRED, status=UNSEEN.status)
    view = a_view(version, replicas=0, reading=nothing_there())

    result = plan(an_observation(view))

    held = condition_of(result, version, ConditionType.HELD)
    assert (held.status, held.reason) == (ConditionStatus.TRUE, "QueueNotFound")
    assert held.message == (
        'queue "bull:orders/v1" was never seen in Redis redis:6379/0: no job was ever added and no '
        "worker is attached; check queueName, prefix and the database number, or delete this "
        "object if it was never used"
    )
    assert condition_of(result, version, ConditionType.DRAINED).status is ConditionStatus.UNKNOWN
    assert (result.actions, result.look_again_at) == ((), NOW + timedelta(seconds=30))


def lost(view: VersionView) -> bool:
    found = condition_of(plan(an_observation(view)), view.version, ConditionType.HELD)
    return (found.status, found.reason) == (ConditionStatus.TRUE, "QueueVanished")


RETIRED = {"retired_at": LONG_AGO, "jobs_added": None, "retirement": {"started_at": LONG_AGO}}


@pytest.mark.parametrize(
    ("version", "reading", "expected"),
    [
        pytest.param(a_version(), a_reading(), False, id="nothing happened"),
        pytest.param(a_version(), a_reading(jobs_added=9), False, id="jobs were added"),
        pytest.param(a_version(), nothing_there(), True, id="flushed"),
        pytest.param(a_version(), a_reading(jobs_added=2), True, id="flushed and filled anew"),
        pytest.param(
            a_version(), a_reading(jobs_added=2, waiting=2), True, id="filled anew, with work to do"
        ),
        pytest.param(
            a_drained(state=State.RETIRED), a_reading(jobs_added=6), True, id="in its delay"
        ),
        pytest.param(
            a_version(approve="vanished"), a_reading(jobs_added=2), False, id="and approved"
        ),
        pytest.param(
            a_version(status=a_status(jobs_added=None)), nothing_there(), False, id="never used"
        ),
        pytest.param(
            a_drained(status={"retirement": {"started_at": LONG_AGO}}),
            nothing_there(),
            False,
            id="closed by us a moment ago",
        ),
        pytest.param(
            a_drained(status={"retirement": {"started_at": LONG_AGO}}),
            a_reading(jobs_added=1, waiting=1),
            False,
            id="closed by us a moment ago, and a late job since",
        ),
        pytest.param(
            a_drained(status=dict(RETIRED)),
            a_reading(jobs_added=1, waiting=1),
            False,
            id="a late job in a retired queue",
        ),
        pytest.param(
            a_drained(status=dict(RETIRED), state=State.AUTO),
            a_reading(jobs_added=1, waiting=1),
            False,
            id="brought back after its end, and used",
        ),
    ],
)
def test_what_went_without_our_doing(version: QueueVersion, reading: Any, expected: bool) -> None:
    assert lost(a_view(version, replicas=0, reading=reading)) is expected


def test_a_queue_that_was_filled_anew_keeps_its_workers_and_its_keys() -> None:
    version = a_version(state=State.RETIRED)

    result = plan(an_observation(a_view(version, reading=a_reading(jobs_added=2))))

    assert (result.actions, result.inventories) == ((), ())
    assert status_of(result, version).phase is Phase.HELD
    assert condition_of(result, version, ConditionType.HELD).message == (
        f'queue "bull:orders/v1" had 7 jobs added to it, and now its job counter says 2 again, in '
        f"Redis {REDIS}, without our doing: was it flushed, obliterated by hand, or failed over to "
        "a replica that lacked them? Nothing is scaled down or deleted until you restore the data, "
        "or annotate this object with bullmq-operator.dev/approve=vanished to go on with what is "
        "there now"
    )


def test_a_loss_is_still_known_after_a_restart() -> None:
    view = a_view(a_version(), reading=a_reading(jobs_added=2), clients=ATTACHED)
    first = an_observation(view)

    (again,) = written_back(first, plan(first)).versions

    assert lost(again)
