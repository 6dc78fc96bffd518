"""Faults that the first review of the planner found; each test tells its story."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bullmq_operator.domain.counts import Inventory, QueueReading
from bullmq_operator.domain.names import VersionKey
from bullmq_operator.domain.plan import (
    RestoreReplicas,
    RestoreSettings,
    RetireQueue,
    ScaleToZero,
)
from bullmq_operator.domain.reasons import EventReason, HeldReason
from bullmq_operator.domain.spec import Drain, LateJobs, Obliterate, Retire, State, WorkloadRef
from bullmq_operator.domain.status import ConditionStatus, ConditionType, Phase, WorkerStatus
from bullmq_operator.planner import plan
from tests.support.builders import (
    AWAY,
    LONG_AGO,
    NOW,
    STAMP,
    a_drained,
    a_reading,
    a_status,
    a_version,
    a_view,
    a_workload,
    a_workload_view,
    an_inventory,
    an_observation,
    condition_of,
    nothing_there,
    status_of,
    written_back,
)

REF = WorkloadRef("worker-v1")
CUT_OFF = Drain(timeout=timedelta(hours=1))
OVERDUE = a_status(
    drain_started_at=NOW - timedelta(hours=2), workers=(WorkerStatus(REF, 0, restore_replicas=3),)
)
CLOSED = {"retired_at": LONG_AGO, "retirement": {"started_at": LONG_AGO}}


def test_a_rollback_of_an_obliterated_queue_is_not_taken_for_a_vanished_one() -> None:
    """The rollback forgot the intent to delete, so the next pass saw keys gone without it."""
    version = a_drained(state=State.AUTO, status=CLOSED)
    first = an_observation(a_view(version, replicas=0, reading=nothing_there()))
    second = written_back(first, plan(first))

    again = plan(second)

    assert status_of(again, version).jobs_added is None
    assert condition_of(again, version, ConditionType.HELD).status is ConditionStatus.FALSE


def test_a_rollback_while_redis_is_away_is_not_taken_for_a_vanished_queue_later() -> None:
    version = a_drained(state=State.AUTO, status={"retirement": {"started_at": LONG_AGO}})
    first = an_observation(a_view(version, replicas=0, reading=AWAY))
    later = written_back(first, plan(first))
    back = replace(later, versions=(replace(later.versions[0], reading=nothing_there()),))

    held = condition_of(plan(back), version, ConditionType.HELD)

    assert held.status is ConditionStatus.FALSE


def test_workers_stopped_by_the_deadline_stay_stopped_while_redis_is_away() -> None:
    """Without a reading they were restored, and stopped again once Redis was back."""
    version = a_version(state=State.RETIRED, drain=CUT_OFF, status=OVERDUE)

    assert plan(an_observation(a_view(version, replicas=0, reading=AWAY))).actions == ()


def test_workers_of_a_drained_queue_are_not_scaled_down_while_redis_is_away() -> None:
    version = a_drained()

    assert plan(an_observation(a_view(version, reading=AWAY))).actions == ()


def test_workers_stopped_by_the_deadline_do_not_come_back_to_an_empty_queue() -> None:
    """A person removed the jobs; the workers came back for the quiet period alone."""
    version = a_version(state=State.RETIRED, drain=CUT_OFF, status=OVERDUE)
    view = a_view(version, replicas=0, idle_for=timedelta(seconds=5))

    assert plan(an_observation(view)).actions == ()


@pytest.mark.parametrize(
    ("status", "deadline"),
    [
        pytest.param({}, NOW + timedelta(hours=1), id="during the delay: the whole time again"),
        pytest.param(CLOSED, None, id="after it was retired: none, retire.delay decides"),
    ],
)
def test_a_late_job_is_not_held_to_the_deadline_of_the_first_drain(
    status: dict[str, object], deadline: datetime | None
) -> None:
    """Long met, it stopped the workers that were to finish the late job."""
    version = a_drained(drain=CUT_OFF, status=status)
    view = a_view(version, replicas=0, reading=a_reading(waiting=1, jobs_added=8))

    result = plan(an_observation(view))

    assert result.actions == (RestoreReplicas(version.key, a_workload(REF, 0), 3),)
    assert status_of(result, version).drain_deadline == deadline


def test_late_jobs_on_hold_are_reported_and_left_alone() -> None:
    """`Drained` said True beside unfinished jobs, and workers started by hand were stopped."""
    version = a_drained(retire=Retire(late_jobs=LateJobs.HOLD), status=CLOSED, drain=CUT_OFF)
    observation = an_observation(a_view(version, reading=a_reading(waiting=2, jobs_added=2)))
    result = plan(observation)

    assert plan(written_back(observation, result)).statuses == result.statuses
    assert result.actions == ()
    assert status_of(result, version).phase is Phase.HELD
    assert condition_of(result, version, ConditionType.HELD).reason == HeldReason.STILL_FED
    drained = condition_of(result, version, ConditionType.DRAINED)
    assert (drained.status, drained.message) == (ConditionStatus.FALSE, "2 waiting")


def test_suspending_a_retired_version_leaves_it_retired() -> None:
    version = a_drained(status=CLOSED, suspend=True)

    result = plan(an_observation(a_view(version, replicas=0, reading=nothing_there())))

    assert status_of(result, version).phase is Phase.RETIRED


def test_a_restart_does_not_move_the_emptiness_of_a_closed_queue() -> None:
    """Without a stream our own watch counts the quiet time, and starts anew: status was written."""
    version = a_drained(status=CLOSED)
    view = a_view(version, replicas=0, reading=nothing_there(), idle_for=timedelta(0))

    assert status_of(plan(an_observation(view)), version).empty_since == NOW - timedelta(days=7)


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({"retirement": {"started_at": LONG_AGO}}, id="before it was retired"),
        pytest.param(CLOSED, id="after it was retired"),
    ],
)
def test_keys_of_a_queue_that_another_version_names_too_are_not_swept(
    status: dict[str, object],
) -> None:
    """The rival's own `meta`, with its settings, was swept."""
    view = a_view(
        a_drained(status=dict(status)),
        replicas=0,
        reading=nothing_there(has_keys=True),
        rivals=(VersionKey("shop", "adopter"),),
    )

    assert plan(an_observation(view)).actions == ()


def test_asking_to_obliterate_after_all_is_not_reported_as_done() -> None:
    """Retired under `obliterate: Never`, then edited: the status claimed that no key was left."""
    version = a_drained(status={"retired_at": LONG_AGO})

    result = plan(an_observation(a_view(version, replicas=0)))

    assert status_of(result, version).phase is Phase.RETIRING
    assert result.inventories == (version.key,)


def test_asking_for_never_after_the_deletion_does_not_bring_the_queue_back() -> None:
    version = a_drained(status=CLOSED, retire=Retire(obliterate=Obliterate.NEVER))

    result = plan(an_observation(a_view(version, replicas=0, reading=nothing_there())))

    assert condition_of(result, version, ConditionType.OBLITERATED).reason == "NothingLeft"


def test_asking_for_never_in_the_middle_of_the_deletion_keeps_the_rest_of_the_queue() -> None:
    """It was retired, then reopened: its old job counter was taken for late jobs."""
    begun = {"retirement": {"started_at": LONG_AGO}}
    version = a_drained(status=begun, retire=Retire(obliterate=Obliterate.NEVER))
    first = an_observation(a_view(version, replicas=0, idle_for=timedelta(days=8)))

    result = plan(first)
    again = plan(written_back(first, result))

    assert status_of(again, version).phase is Phase.RETIRED
    assert condition_of(again, version, ConditionType.OBLITERATED).reason == "NotAsked"
    assert (again.statuses, again.actions, again.events) == (result.statuses, (), ())


def test_an_inventory_from_before_the_proof_is_taken_again() -> None:
    """What it calls dead may be alive since."""
    version = a_drained()
    old = an_inventory(stamp="1600000000000-0")

    result = plan(an_observation(a_view(version, replicas=0, inventory=old)))

    assert (result.actions, result.inventories) == ((), (version.key,))


def test_pods_that_could_not_be_listed_are_not_taken_for_ready_since_ever() -> None:
    """`minReady` was skipped when the Pods were not known."""
    version = a_version(status=a_status(current_since=None))
    view = a_view(version, workloads=(a_workload_view(REF, pods=None),))

    result = plan(an_observation(view))

    assert status_of(result, version).current_since is None
    assert result.look_again_at == NOW + timedelta(seconds=5)


def test_a_version_that_waits_for_a_worker_to_attach_is_looked_at_again() -> None:
    """Nothing wakes us for an attachment: it would have been seen at the next resync."""
    view = a_view(a_version(status=a_status(current_since=None)), clients=())

    assert plan(an_observation(view)).look_again_at == NOW + timedelta(seconds=5)


def test_delayed_jobs_with_no_worker_in_sight_need_a_person() -> None:
    """BullMQ's workers promote them, so without any they stay for ever, and nobody was told."""
    version = a_version(state=State.RETIRED)
    result = plan(an_observation(a_view(version, replicas=0, reading=a_reading(delayed=1))))

    held = condition_of(result, version, ConditionType.HELD)
    assert (held.reason, held.message) == (
        HeldReason.NO_WORKER_ATTACHED,
        "1 delayed, no worker attached: start workers on this queue (scale their Deployment up)",
    )


def test_what_activation_said_is_not_given_as_a_reason_of_the_drain() -> None:
    version = a_drained(retire=Retire(delay=timedelta(days=30)))
    view = a_view(version, replicas=0, idle_for=timedelta(days=8))
    result = plan(an_observation(view))

    message = condition_of(result, version, ConditionType.WORKERS_SCALED_DOWN).message
    assert "activated" not in message
    assert "retire.delay ends" in condition_of(result, version, ConditionType.OBLITERATED).message


def test_the_deletion_is_bound_to_the_stamp_of_the_proof() -> None:
    version = a_drained()
    inventory: Inventory = an_inventory(settings=(("concurrency", "1"),))

    result = plan(an_observation(a_view(version, replicas=0, inventory=inventory)))

    assert result.actions == (RetireQueue(version.key, version.queue, STAMP, inventory),)
    assert status_of(result, version).retirement.started_at == NOW
    assert status_of(result, version).retirement.queue_settings == (("concurrency", "1"),)


def test_a_suspended_version_that_is_reopened_needs_a_person_from_the_first_pass_on() -> None:
    """Its workers were taken for coming back in that pass, and nobody brought them: Held came only
    with the second, which had to change nothing."""
    status = {"workers": (WorkerStatus(REF, 0, restore_replicas=None),)}
    version = a_drained(status=status, suspend=True)
    first = an_observation(a_view(version, replicas=0, reading=a_reading(delayed=1, jobs_added=8)))

    said = plan(first)

    assert condition_of(said, version, ConditionType.HELD).reason == HeldReason.NO_WORKER_ATTACHED
    again = plan(written_back(first, said))
    assert again.statuses == said.statuses
    assert again.events == ()


def test_a_reopened_queue_has_its_settings_before_its_workers() -> None:
    retirement = {"started_at": LONG_AGO, "queue_settings": (("concurrency", "1"),)}
    version = a_drained(status={"retired_at": LONG_AGO, "retirement": retirement})
    reading: QueueReading = a_reading(waiting=1, jobs_added=1)

    view = a_view(version, replicas=0, reading=reading)

    result = plan(an_observation(view))

    assert result.actions == (RestoreSettings(version.key, version.queue, (("concurrency", "1"),)),)
    assert [e.reason for e in result.events] == [EventReason.REOPENED]
    (seen,) = written_back(an_observation(view), result).versions
    back = an_observation(replace(seen, settings=(("concurrency", "1"),)))
    assert plan(back).actions == (RestoreReplicas(version.key, a_workload(REF, 0), 3),)


def test_workers_of_a_stopped_version_go_even_while_redis_is_away() -> None:
    """The emergency brake: jobs stay where they are, so nothing has to be known of them."""
    version = a_version(state=State.STOPPED)

    result = plan(an_observation(a_view(version, reading=AWAY)))

    assert result.actions == (ScaleToZero(version.key, a_workload(REF)),)


@pytest.mark.parametrize(
    ("version", "replicas"),
    [
        pytest.param({"suspend": True}, 0, id="it is suspended"),
        pytest.param({}, 3, id="its workers are there, and listen to something else"),
    ],
)
def test_a_reopened_queue_says_at_once_that_nobody_will_take_its_jobs_when(
    version: dict[str, bool], replicas: int
) -> None:
    """Only the next pass said so: in the first one, workers were thought to be on their way."""
    reopened = a_drained(status={"workers": ()}, **version)
    late = a_reading(waiting=1, jobs_added=8)
    observation = an_observation(
        a_view(reopened, replicas=replicas, clients=(), reading=late, idle_for=timedelta(hours=1))
    )

    result = plan(observation)

    held = condition_of(result, reopened, ConditionType.HELD)
    assert held.reason == HeldReason.NO_WORKER_ATTACHED
    assert plan(written_back(observation, result)).statuses == result.statuses
