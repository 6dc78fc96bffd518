"""Each blocker by name, with its count and what clears it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bullmq_operator.domain.blockers import Blocker
from bullmq_operator.domain.counts import ClientsUnknown, QueueDetail
from bullmq_operator.domain.observation import WorkloadView
from bullmq_operator.domain.reasons import HeldReason
from bullmq_operator.domain.spec import State, WorkloadRef
from bullmq_operator.planner import plan
from bullmq_operator.planner.blockers import blockers, inventory_blockers
from tests.support.builders import (
    ATTACHED,
    NOW,
    a_reading,
    a_version,
    a_view,
    a_workload,
    a_workload_view,
    an_inventory,
    an_observation,
)

DETAIL = QueueDetail(
    next_delayed=NOW,
    last_delayed=NOW + timedelta(hours=4),
    schedulers=("nightly",),
    waiting_parents=(("4", "bull:payments"),),
)
NOBODY = (HeldReason.NO_WORKER_ATTACHED, "start workers on this queue (scale their Deployment up)")
RESUME = (HeldReason.QUEUE_PAUSED, "resume the queue (Queue.resume()) or remove its jobs")
SCHEDULER = (
    HeldReason.BLOCKED_BY_SCHEDULER,
    "a job scheduler makes new jobs for ever: remove it with Queue.removeJobScheduler() (a "
    "repeatable job of BullMQ v4 or v5: Queue.removeRepeatableByKey()), once the new version has "
    "its own",
)


@pytest.mark.parametrize(
    ("reading", "replicas", "expected"),
    [
        pytest.param({"completed": 9, "failed": 1}, 3, [], id="finished jobs block nothing"),
        pytest.param({"is_paused": True}, 3, [], id="nor does a pause of an empty queue"),
        pytest.param(
            {"waiting": 2, "prioritized": 1, "active": 1},
            3,
            [
                Blocker("waiting", 2, "2 waiting"),
                Blocker("prioritized", 1, "1 prioritized"),
                Blocker("active", 1, "1 active"),
            ],
            id="workers are at it",
        ),
        pytest.param(
            {"active": 2},
            0,
            [Blocker("active", 2, "2 active, no worker attached", *NOBODY)],
            id="no worker is left",
        ),
        pytest.param(
            {"paused": 5, "is_paused": True},
            3,
            [Blocker("paused", 5, "paused with 5 waiting", *RESUME)],
            id="paused with jobs in BullMQ's paused list",
        ),
        pytest.param(
            {"delayed": 3},
            3,
            [
                Blocker(
                    "delayed",
                    3,
                    "3 delayed (next due 2026-03-02T12:00:00Z, last 2026-03-02T16:00:00Z)",
                )
            ],
            id="delayed, with the first and the last moment",
        ),
        pytest.param(
            {"waiting_children": 1},
            3,
            [Blocker("waiting-children", 1, '1 parent waiting for children in "bull:payments"')],
            id="a parent, with its children's queue",
        ),
        pytest.param(
            {"schedulers": 2},
            3,
            [Blocker("schedulers", 2, 'schedulers "nightly" and 1 more', *SCHEDULER)],
            id="schedulers by name",
        ),
    ],
)
def test_blockers(reading: dict[str, Any], replicas: int, expected: list[Blocker]) -> None:
    view = a_view(replicas=replicas, detail=DETAIL)

    assert list(blockers(view, a_reading(**reading))) == expected


def test_what_only_the_inventory_shows_is_named_with_its_cure() -> None:
    inventory = an_inventory(orphans=("9",), unknown_keys=("bull:orders/v1:x", "bull:orders/v1:y"))
    found = inventory_blockers(inventory, "bull:orders/v1:")

    assert found == (
        Blocker(
            "orphaned",
            1,
            '1 job that is in no state of the queue and never ran: "bull:orders/v1:9"',
            HeldReason.ORPHANED_JOBS,
            "add again what is still wanted, then remove these keys and their sub-keys",
        ),
        Blocker(
            "unknown-keys",
            2,
            '2 keys that BullMQ is not known to write: "bull:orders/v1:x", "bull:orders/v1:y"',
            HeldReason.UNKNOWN_KEYS,
            "remove what nobody needs, or set retire.obliterate: Never to keep the queue",
        ),
    )


READY = a_workload_view(WorkloadRef("worker-v1"))
STARTING = WorkloadView(
    WorkloadRef("worker-v1"), a_workload(WorkloadRef("worker-v1"), ready_replicas=2)
)
ELSEWHERE = (
    HeldReason.NO_WORKER_ATTACHED,
    "Deployment worker-v1 is ready, but none of its workers listens to this queue: check the queue "
    "name, prefix and Redis that they use, or start workers that do",
)


@pytest.mark.parametrize(
    ("view", "held"),
    [
        pytest.param({"clients": ()}, ELSEWHERE, id="they listen to something else"),
        pytest.param(
            {"clients": (), "idle_for": timedelta(seconds=119)}, (None, ""), id="not for long yet"
        ),
        pytest.param({"clients": (), "idle_for": None}, (None, ""), id="who knows for how long"),
        pytest.param({"clients": (), "workloads": (STARTING,)}, (None, ""), id="they start"),
        pytest.param(
            {"clients": ClientsUnknown("CLIENT is refused")}, (None, ""), id="nobody can tell"
        ),
        pytest.param({"clients": ATTACHED}, (None, ""), id="they are attached"),
    ],
)
def test_ready_workers_that_take_no_jobs_need_a_person_when(
    view: dict[str, Any], held: tuple[HeldReason | None, str]
) -> None:
    """A Deployment that was pointed at the new queue, rather than a new one beside it."""
    fields = {"workloads": (READY,), **view}

    (waiting,) = blockers(a_view(**fields), a_reading(waiting=2))

    assert (waiting.held, waiting.remedy) == held


def test_jobs_without_a_worker_are_looked_at_again_when_they_have_waited_for_long() -> None:
    version = a_version(state=State.RETIRED)
    fields = {"reading": a_reading(waiting=2), "clients": (), "idle_for": timedelta(seconds=30)}

    result = plan(an_observation(a_view(version, **fields)))

    assert result.look_again_at == NOW + timedelta(seconds=90)
