"""The settings of a queue that is used again: asked for until they are seen, before any worker."""

from __future__ import annotations

from typing import Any

import pytest

from bullmq_operator.domain.observation import QueueVersion
from bullmq_operator.domain.plan import Action, RestoreReplicas, RestoreSettings
from bullmq_operator.domain.spec import State, WorkloadRef
from bullmq_operator.domain.status import ConditionType, Phase, RetirementStatus, WorkerStatus
from bullmq_operator.planner import plan
from tests.support.builders import (
    AWAY,
    LONG_AGO,
    a_drained,
    a_reading,
    a_status,
    a_version,
    a_view,
    a_workload,
    an_observation,
    condition_of,
    nothing_there,
    status_of,
)

REF = WorkloadRef("worker-v1")
ONE, RATE = ("concurrency", "1"), ("max", "10")
RECORD = RetirementStatus(queue_settings=(ONE, RATE))
DOWN = (WorkerStatus(REF, 0, 3),)
BACK = a_version(status=a_status(phase=Phase.CURRENT, retirement=RECORD, workers=DOWN))
"""Its status was written when it was brought back; then the process was killed."""


def restoring(*settings: tuple[str, str]) -> RestoreSettings:
    return RestoreSettings(BACK.key, BACK.queue, settings)


@pytest.mark.parametrize(
    ("seen", "actions", "kept"),
    [
        pytest.param((), [restoring(ONE, RATE)], (ONE, RATE), id="none is there"),
        pytest.param(None, [restoring(ONE, RATE)], (ONE, RATE), id="they could not be read"),
        pytest.param((ONE,), [restoring(RATE)], (ONE, RATE), id="one is there"),
        pytest.param(
            (("concurrency", "5"), RATE),
            [RestoreReplicas(BACK.key, a_workload(REF, 0), 3)],
            (),
            id="all are there, one with a newer value",
        ),
    ],
)
def test_workers_come_once_the_settings_are_seen(
    seen: tuple[tuple[str, str], ...] | None,
    actions: list[Action],
    kept: tuple[tuple[str, str], ...],
) -> None:
    result = plan(an_observation(a_view(BACK, replicas=0, settings=seen)))

    assert list(result.actions) == actions
    assert status_of(result, BACK).retirement.queue_settings == kept


def test_the_condition_says_what_the_workers_wait_for() -> None:
    result = plan(an_observation(a_view(BACK, replicas=0, settings=(ONE,))))

    told = condition_of(result, BACK, ConditionType.WORKERS_SCALED_DOWN)
    assert told.reason == "SettingsFirst"
    assert told.message == "its workers come back once the queue's own settings (max) are back"


@pytest.mark.parametrize(
    ("version", "view"),
    [
        pytest.param(BACK, {"reading": AWAY}, id="Redis is away"),
        pytest.param(
            a_version(status=BACK.status, suspend=True), {"settings": ()}, id="it is suspended"
        ),
        pytest.param(
            a_version(status=BACK.status, state=State.STOPPED), {"settings": ()}, id="it is stopped"
        ),
        pytest.param(
            a_drained(
                status={
                    "retired_at": LONG_AGO,
                    "retirement": {"started_at": LONG_AGO, "queue_settings": (ONE,)},
                }
            ),
            {"reading": nothing_there(), "settings": ()},
            id="it is retired",
        ),
    ],
)
def test_nothing_is_restored_while(version: QueueVersion, view: dict[str, Any]) -> None:
    assert plan(an_observation(a_view(version, replicas=0, **view))).actions == ()


def test_a_workload_waits_for_the_settings_of_every_queue_it_works_on() -> None:
    shared = WorkloadRef("worker-shared")
    down = (WorkerStatus(shared, 0, 3),)
    late = a_version(
        state=State.RETIRED,
        workers=(shared,),
        status=a_status(retirement=RECORD, drain_started_at=LONG_AGO, workers=down),
    )
    current = a_version("2", workers=(shared,), status=a_status(workers=down))
    busy = a_reading(waiting=1)

    result = plan(
        an_observation(
            a_view(late, replicas=0, reading=busy, settings=()), a_view(current, replicas=0)
        )
    )

    assert result.actions == (RestoreSettings(late.key, late.queue, (ONE, RATE)),)
