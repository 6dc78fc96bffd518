"""When a new version may take over, and what it says while it may not."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from bullmq_operator.domain.counts import ClientsUnknown
from bullmq_operator.domain.observation import Pods, WorkloadView
from bullmq_operator.domain.spec import Activation, ActivationPolicy, State, WorkloadRef
from bullmq_operator.planner.activation import ActivationVerdict, activate
from tests.support.builders import (
    ATTACHED,
    AWAY,
    LONG_AGO,
    NOW,
    a_status,
    a_version,
    a_view,
    a_workload,
    a_workload_view,
)

OWN = WorkloadRef("worker-v1")
NOT_YET = a_status(current_since=None)
UNLISTED: dict[str, Any] = {"workers": ()}
IN_5_S = NOW + timedelta(seconds=5)
SINCE_10_S = Pods(3, ready=3, ready_since=NOW - timedelta(seconds=10))
AT_ZERO = replace(a_workload_view(OWN, 0), scale_to_zero_allowed=True)


def by(policy: ActivationPolicy) -> dict[str, Any]:
    return {"activation": Activation(policy)}


@pytest.mark.parametrize(
    ("spec", "view", "message"),
    [
        pytest.param({}, {}, '1 BullMQ worker connection on queue "orders/v1"', id="attached"),
        pytest.param(
            {},
            {"clients": ATTACHED * 2},
            '2 BullMQ worker connections on queue "orders/v1"',
            id="attached twice",
        ),
        pytest.param(
            {},
            {"clients": ClientsUnknown("CLIENT is refused")},
            "workers are ready; whether they are attached is unknown: CLIENT is refused",
            id="ready, and CLIENT LIST is refused",
        ),
        pytest.param(
            {},
            {"clients": (), "workloads": (AT_ZERO,)},
            "workers are at zero under an autoscaler with minimum 0",
            id="at zero on purpose",
        ),
        pytest.param(
            UNLISTED,
            {},
            '1 BullMQ worker connection on queue "orders/v1"',
            id="workers that it does not list are attached",
        ),
        pytest.param(
            by(ActivationPolicy.IMMEDIATE),
            {"clients": (), "workloads": ()},
            "activation.policy is Immediate",
            id="asked to at once",
        ),
    ],
)
def test_it_takes_over(spec: dict[str, Any], view: dict[str, Any], message: str) -> None:
    version = a_version(status=NOT_YET, **spec)

    assert activate(a_view(version, **view), NOW) == ActivationVerdict(NOW, message)


@pytest.mark.parametrize(
    ("spec", "view", "message", "look_again_at"),
    [
        pytest.param(
            {},
            {"workloads": (WorkloadView(OWN, None),)},
            "Deployment worker-v1 not found: deploy it, or correct spec.workers",
            None,
            id="its workload is not there",
        ),
        pytest.param(
            {},
            {"workloads": (a_workload_view(OWN, 0),)},
            "Deployment worker-v1 is scaled to 0: scale it up",
            None,
            id="it is at zero, and no autoscaler is",
        ),
        pytest.param(
            {},
            {"workloads": (WorkloadView(OWN, a_workload(OWN, ready_replicas=1)),)},
            "Deployment worker-v1: 1 of 3 replicas ready",
            None,
            id="some replicas are not ready",
        ),
        pytest.param(
            {},
            {"workloads": (WorkloadView(OWN, a_workload(OWN, observed=False)),)},
            "Deployment worker-v1: its newest edit is not rolled out yet",
            None,
            id="what is ready are the replicas before an edit",
        ),
        pytest.param(
            {},
            {"workloads": (a_workload_view(OWN, pods=SINCE_10_S),)},
            "workers are ready; activation.minReady ends at 2026-03-02T12:00:20Z",
            NOW + timedelta(seconds=20),
            id="not ready for long enough",
        ),
        pytest.param(
            {},
            {"workloads": (a_workload_view(OWN, pods=None),)},
            "since when the Pods of Deployment worker-v1 are ready is not known yet",
            IN_5_S,
            id="its Pods could not be listed",
        ),
        pytest.param(
            {},
            {"clients": ()},
            'no BullMQ worker is attached to queue "orders/v1": check the queue name, prefix and '
            "Redis that the workers use",
            IN_5_S,
            id="nobody is attached",
        ),
        pytest.param(
            {},
            {"reading": AWAY},
            "can't look for attached workers: Redis redis:6379 does not answer",
            None,
            id="Redis is away",
        ),
        pytest.param(
            UNLISTED,
            {"clients": ClientsUnknown("CLIENT is refused")},
            "can't see attached workers: CLIENT is refused",
            IN_5_S,
            id="attachment is the only proof, and can't be seen",
        ),
        pytest.param(
            by(ActivationPolicy.MANUAL),
            {},
            "activation.policy is Manual: set it to Immediate to let this version take over",
            None,
            id="a person decides",
        ),
        pytest.param(
            {"state": State.STOPPED}, {}, "spec.state is Stopped", None, id="it is stopped"
        ),
        pytest.param({"state": State.RETIRED}, {}, "spec.state is Retired", None, id="it is to go"),
    ],
)
def test_it_waits(
    spec: dict[str, Any], view: dict[str, Any], message: str, look_again_at: datetime | None
) -> None:
    version = a_version(status=NOT_YET, **spec)

    assert activate(a_view(version, **view), NOW) == ActivationVerdict(None, message, look_again_at)


def test_the_slowest_of_its_workloads_decides() -> None:
    other = WorkloadRef("worker-b")
    version = a_version(workers=(OWN, other), status=NOT_YET)
    both = (a_workload_view(OWN), a_workload_view(other, pods=SINCE_10_S))

    verdict = activate(a_view(version, workloads=both), NOW)

    assert (verdict.since, verdict.look_again_at) == (None, NOW + timedelta(seconds=20))


def test_what_was_activated_stays_so_whatever_happens_to_its_workers() -> None:
    verdict = activate(a_view(a_version(), replicas=0, reading=AWAY), NOW)

    assert verdict.since == LONG_AGO
