"""Which changes are told in Events, each once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bullmq_operator.domain.counts import QueueDetail
from bullmq_operator.domain.observation import QueueVersion, VersionView
from bullmq_operator.domain.spec import Drain, State, WorkloadRef
from bullmq_operator.domain.status import Phase
from bullmq_operator.planner import plan
from tests.support.builders import (
    LONG_AGO,
    NOW,
    a_drained,
    a_reading,
    a_status,
    a_version,
    a_view,
    an_inventory,
    an_observation,
    nothing_there,
    written_back,
)

SEEN = {"observed_generation": 1}
BEGUN = {"retirement": {"started_at": LONG_AGO, "obliterated_jobs": 2}}
TWO = a_view(a_version("2"))


def told(*views: VersionView) -> list[str]:
    result = plan(an_observation(*views))
    return [
        f"{'Warning' if event.warning else 'Normal'} {event.reason}: {event.message}"
        for event in result.events
        if event.version == views[0].version.key
    ]


def retired_by(**over: Any) -> QueueVersion:
    return a_version(state=State.RETIRED, **over)


@pytest.mark.parametrize(
    ("views", "expected"),
    [
        pytest.param([a_view()], [], id="nothing changed"),
        pytest.param(
            [a_view(a_version(status=a_status(current_since=None)))],
            ['Normal Activated: may take over: 1 BullMQ worker connection on queue "orders/v1"'],
            id="it takes over",
        ),
        pytest.param(
            [a_view(a_version(status=a_status(**SEEN)), reading=a_reading(active=1)), TWO],
            ["Normal Superseded: version 2 is current: this one drains"],
            id="a newer one took over",
        ),
        pytest.param(
            [
                a_view(
                    a_version(status=a_status(**SEEN, current_since=None)),
                    reading=a_reading(active=1),
                    clients=(),
                    idle_for=timedelta(0),
                ),
                TWO,
            ],
            [
                "Normal Superseded: version 2 is current: this one drains",
                "Warning SupersededOnArrival: version 2 is higher and already current, so this one "
                "drains at once: set spec.state to Pinned to run both",
            ],
            id="a newer one was there before it",
        ),
        pytest.param(
            [a_view(retired_by(), reading=a_reading(active=1))],
            ["Normal DrainStarted: spec.state is Retired: this version drains"],
            id="it is to go",
        ),
        pytest.param(
            [a_view(retired_by(status=a_status(drain_started_at=LONG_AGO)))],
            ['Normal Drained: queue "orders/v1" is proven empty'],
            id="it is proven empty",
        ),
        pytest.param(
            [a_view(a_drained(status={"workers_gone_at": None}), replicas=0)],
            ["Normal WorkersGone: no Pod of its workloads is left"],
            id="its Pods are gone",
        ),
        pytest.param(
            [a_view(a_drained(), replicas=0, inventory=an_inventory())],
            ['Normal Obliterating: queue "orders/v1" is being deleted from Redis'],
            id="its keys go",
        ),
        pytest.param(
            [a_view(a_drained(status=dict(BEGUN)), replicas=0, reading=nothing_there())],
            ["Normal Retired: all that the policy asks is done; 2 finished jobs deleted"],
            id="it is retired",
        ),
        pytest.param(
            [a_view(a_drained(), replicas=0, reading=a_reading(waiting=1, jobs_added=8))],
            [
                'Warning Reopened: 1 unfinished job after queue "orders/v1" was proven empty: its '
                "workers come back to finish it"
            ],
            id="a job came late",
        ),
        pytest.param(
            [a_view(a_drained(), replicas=0, reading=a_reading(stamp="1700000000001-0"))],
            [
                'Warning Reopened: activity in the queue after queue "orders/v1" was proven empty: '
                "its workers come back to finish it"
            ],
            id="something happened in it",
        ),
        pytest.param(
            [a_view(a_drained(state=State.AUTO), replicas=0)],
            [
                "Normal RolledBack: serves again: its drain is called off and its workers are "
                "restored"
            ],
            id="it is brought back",
        ),
        pytest.param(
            [
                a_view(
                    a_drained(state=State.AUTO, status=dict(BEGUN)),
                    replicas=0,
                    reading=nothing_there(),
                )
            ],
            [
                "Normal RolledBack: serves again: its drain is called off and its workers are "
                "restored (its queue was obliterated, so it starts empty)"
            ],
            id="it is brought back after its end",
        ),
        pytest.param(
            [a_view(a_version(state=State.STOPPED))],
            ["Normal Stopped: workers go to zero, jobs stay in Redis"],
            id="it is stopped",
        ),
        pytest.param(
            [a_view(a_version(status=a_status(phase=Phase.STOPPED)))],
            ["Normal Resumed: no longer stopped: replicas are restored"],
            id="it is no longer stopped",
        ),
        pytest.param(
            [
                a_view(
                    retired_by(status=a_status(drain_started_at=LONG_AGO)),
                    reading=a_reading(paused=2, is_paused=True),
                )
            ],
            [
                "Warning Held: QueuePaused: paused with 2 waiting: resume the queue "
                "(Queue.resume()) or remove its jobs"
            ],
            id="it needs a person",
        ),
        pytest.param(
            [a_view(a_version(deletion_policy="Retire"))],
            [
                "Warning Misconfigured: NotSupportedYet: Configuration: this release does not "
                "support deletionPolicy: Retire yet: remove it to go on; until then nothing is "
                "changed"
            ],
            id="an edit must cure it",
        ),
        pytest.param(
            [
                a_view(
                    retired_by(drain=Drain(timeout=timedelta(hours=1))),
                    reading=a_reading(delayed=1),
                    detail=QueueDetail(NOW, NOW + timedelta(hours=2)),
                )
            ],
            [
                "Warning DelayedBeyondDeadline: a delayed job is due 2026-03-02T14:00:00Z, after "
                "the drain's deadline 2026-03-02T13:00:00Z: raise drain.timeout, or see to that "
                "job",
                "Normal DrainStarted: spec.state is Retired: this version drains",
            ],
            id="a job is due after the deadline",
        ),
    ],
)
def test_what_is_told(views: list[VersionView], expected: list[str]) -> None:
    assert told(*views) == expected


def test_what_was_told_is_not_told_again() -> None:
    paused = a_view(retired_by(), reading=a_reading(paused=2, is_paused=True))
    first = an_observation(paused)

    again = written_back(first, plan(first))

    assert [e.reason for e in plan(first).events] == ["DrainStarted", "Held"]
    assert plan(again).events == ()


def test_another_reason_to_hold_is_told_anew() -> None:
    paused = a_view(retired_by(), reading=a_reading(paused=2, is_paused=True))
    first = an_observation(paused)
    (view,) = written_back(first, plan(first)).versions
    scheduled = replace(view, reading=a_reading(schedulers=1))

    (event,) = plan(an_observation(scheduled)).events

    assert (event.reason, event.message.partition(":")[0]) == ("Held", "BlockedByScheduler")


def test_a_sibling_that_shares_the_workload_tells_its_own_story() -> None:
    shared = (WorkloadRef("worker-shared"),)
    old, new = a_version(workers=shared), a_version("2", workers=shared)

    result = plan(an_observation(a_view(old, reading=a_reading(active=1)), a_view(new)))

    assert {event.version for event in result.events} == {old.key}
