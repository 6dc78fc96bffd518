"""The promises that hold in every state, likely or not."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

from bullmq_operator.domain.counts import Inventory, QueueReading, Unknown
from bullmq_operator.domain.names import VersionKey
from bullmq_operator.domain.observation import Observation, VersionView
from bullmq_operator.domain.plan import (
    Action,
    MigrateJobs,
    RestoreReplicas,
    RetireQueue,
    ScaleToZero,
    SweepRecreated,
)
from bullmq_operator.domain.spec import Obliterate, OnTimeout, State
from bullmq_operator.domain.status import ConditionStatus, ConditionType, Phase, Status
from bullmq_operator.planner import plan
from bullmq_operator.planner.blockers import inventory_blockers
from bullmq_operator.planner.migration import NOTICE
from tests.support.builders import NOW, written_back
from tests.support.strategies import (
    LEFT,
    LOST,
    brought_back,
    observations,
    out_of_time,
    ripe_for_deletion,
)

anything = observations() | ripe_for_deletion() | out_of_time()

often = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


def view_of(observation: Observation, key: VersionKey) -> VersionView:
    return next(v for v in observation.versions if v.version.key == key)


def says(status: Status, type_: ConditionType) -> tuple[ConditionStatus, str]:
    found = status.condition(type_)
    assert found is not None
    return found.status, found.reason


def is_cut_off(view: VersionView) -> bool:
    """Past its deadline, with the policy that stops the workers then."""
    drain, started = view.version.spec.drain, view.version.status.drain_started_at
    if drain.timeout is None or started is None or drain.on_timeout is not OnTimeout.SCALE_DOWN:
        return False
    return started + drain.timeout <= NOW


@often
@given(anything)
def test_no_worker_of_a_queue_with_unfinished_jobs_is_scaled_down(observation: Observation) -> None:
    for action in plan(observation).actions:
        if not isinstance(action, ScaleToZero):
            continue
        view = view_of(observation, action.version)
        if view.version.spec.state is State.STOPPED or is_cut_off(view):
            continue
        assert isinstance(view.reading, QueueReading)
        assert view.reading.counts.unfinished == 0


@often
@given(anything)
def test_what_could_not_be_read_is_neither_scaled_down_nor_deleted(
    observation: Observation,
) -> None:
    destructive = (ScaleToZero, RetireQueue, SweepRecreated, MigrateJobs)
    for action in plan(observation).actions:
        view = view_of(observation, action.version)
        if isinstance(view.reading, Unknown) and view.version.spec.state is not State.STOPPED:
            assert not isinstance(action, destructive)


@often
@given(ripe_for_deletion() | anything)
def test_a_queue_is_deleted_only_when_everything_before_it_holds(observation: Observation) -> None:
    result = plan(observation)
    for action in result.actions:
        if not isinstance(action, RetireQueue):
            continue
        view, status = view_of(observation, action.version), dict(result.statuses)[action.version]
        reading, inventory = view.reading, view.inventory
        assert isinstance(reading, QueueReading)
        assert isinstance(inventory, Inventory)
        assert status.superseded_by is not None or view.version.spec.state is State.RETIRED
        assert status.drained_at is not None
        assert reading.counts.unfinished == 0
        assert action.stamp == reading.stamp == status.retirement.stamp == inventory.stamp
        assert status.workers_gone_at is not None
        assert status.workers_gone_at + view.version.spec.retire.delay <= NOW
        assert view.rivals == ()
        assert inventory_blockers(inventory, "") == ()


@often
@given(ripe_for_deletion() | anything)
def test_pods_of_workloads_that_nobody_else_needs_are_gone_before_a_deletion(
    observation: Observation,
) -> None:
    named = [ref for v in observation.versions for ref in v.version.spec.workers]
    for action in plan(observation).actions:
        if isinstance(action, RetireQueue):
            for workload in view_of(observation, action.version).workloads:
                if workload.workload is not None and named.count(workload.ref) == 1:
                    assert workload.pods is not None
                    assert workload.pods.total == 0


@often
@given(out_of_time() | observations())
def test_jobs_move_only_when_time_is_up_and_after_a_warning_to_the_version_that_serves(
    observation: Observation,
) -> None:
    result = plan(observation)
    for action in result.actions:
        if not isinstance(action, MigrateJobs):
            continue
        view, status = view_of(observation, action.version), dict(result.statuses)[action.version]
        assert view.version.spec.drain.on_timeout is OnTimeout.MIGRATE
        assert status.drain_deadline is not None
        assert status.drain_deadline <= NOW
        assert status.drain_warned_at is not None
        assert status.drain_warned_at + NOTICE <= NOW
        assert isinstance(view.reading, QueueReading)
        assert view.rivals == ()
        target = view_of(observation, action.target).version
        assert (action.target != action.version, target.queue) == (True, action.target_queue)
        assert target.spec.version == status.current_version
        assert target.spec.state in (State.AUTO, State.PINNED)
        assert not target.spec.suspend


def test_the_test_above_has_something_to_look_at() -> None:
    def moves(observation: Observation) -> bool:
        return any(isinstance(action, MigrateJobs) for action in plan(observation).actions)

    assert moves(find(out_of_time(), moves, settings=often))


@often
@given(anything)
def test_planning_again_over_the_written_statuses_changes_nothing(observation: Observation) -> None:
    observation = replace(
        observation, versions=tuple(replace(v, outcome=None) for v in observation.versions)
    )
    first = plan(observation)
    again = plan(written_back(observation, first))

    assert again.statuses == first.statuses
    assert again.events == ()


@often
@given(anything, st.randoms(use_true_random=False))
def test_the_order_of_siblings_does_not_matter(observation: Observation, shuffled: object) -> None:
    versions = list(observation.versions)
    shuffled.shuffle(versions)  # type: ignore[attr-defined]

    assert plan(replace(observation, versions=tuple(versions))) == plan(observation)


@often
@given(anything)
def test_a_suspended_family_is_left_alone(observation: Observation) -> None:
    result = plan(replace(observation, suspended=True))

    assert (result.actions, result.inventories) == ((), ())


@often
@given(anything)
def test_a_suspended_version_is_left_alone(observation: Observation) -> None:
    suspended = {v.version.key for v in observation.versions if v.version.spec.suspend}
    found: list[Action] = [a for a in plan(observation).actions if a.version in suspended]

    assert found == []


@often
@given(anything)
def test_a_workload_that_another_version_keeps_is_never_scaled_down(
    observation: Observation,
) -> None:
    result = plan(observation)
    for action in result.actions:
        if not isinstance(action, ScaleToZero):
            continue
        for view in observation.versions:
            users = {view.version.workload(ref) for ref in view.version.spec.workers}
            if action.workload.key not in users:
                continue
            status = dict(result.statuses)[view.version.key]
            let_go = (
                view.version.spec.state in (State.RETIRED, State.STOPPED)
                or status.superseded_by is not None
            )
            assert let_go
            if isinstance(view.reading, QueueReading) and view.reading.counts.unfinished:
                assert view.version.spec.state is State.STOPPED or is_cut_off(view)


ONE_AS_MANY = re.compile(
    r"(?<![\d.:])1 (?:[a-zA-Z]+ )?(?:jobs|keys|Pods|parents|schedulers|connections)"
)


@often
@given(anything)
def test_one_thing_is_not_counted_as_many(observation: Observation) -> None:
    result = plan(observation)
    told = [event.message for event in result.events]
    told += [c.message for _, status in result.statuses for c in status.conditions]

    assert [message for message in told if ONE_AS_MANY.search(message)] == []


DESTRUCTIVE = (ScaleToZero, RetireQueue, SweepRecreated, MigrateJobs)


@often
@given(ripe_for_deletion(LOST) | anything)
def test_what_was_never_seen_or_went_without_our_doing_is_left_alone(
    observation: Observation,
) -> None:
    """Invariant 1, beyond what could not be read."""
    result = plan(observation)
    for action in result.actions:
        view, status = view_of(observation, action.version), dict(result.statuses)[action.version]
        if not isinstance(action, DESTRUCTIVE) or view.version.spec.state is State.STOPPED:
            continue
        assert status.queue_first_seen_at is not None
        assert says(status, ConditionType.HELD)[1] != "QueueVanished"
        before, reading = view.version.status, view.reading
        assert isinstance(reading, QueueReading)
        ours = before.retirement.started_at is not None or before.redis != view.redis
        if before.jobs_added is not None and not ours:
            assert reading.jobs_added is not None
            assert reading.jobs_added >= before.jobs_added


@often
@given(ripe_for_deletion(LEFT) | anything)
def test_only_keys_that_a_client_makes_by_itself_are_swept(observation: Observation) -> None:
    for action in plan(observation).actions:
        if not isinstance(action, SweepRecreated):
            continue
        view = view_of(observation, action.version)
        reading = view.reading
        assert isinstance(reading, QueueReading)
        assert (reading.jobs_added, reading.counts.unfinished) == (None, 0)
        assert reading.counts.completed + reading.counts.failed == 0
        assert not reading.is_paused
        assert not view.settings
        assert view.rivals == ()
        assert view.version.status.retirement.started_at is not None


@often
@given(ripe_for_deletion(LEFT) | anything)
def test_a_version_that_says_that_no_key_is_left_is_right_or_sweeps(
    observation: Observation,
) -> None:
    """Invariant 7."""
    result = plan(observation)
    swept = {action.version for action in result.actions if isinstance(action, SweepRecreated)}
    for key, status in result.statuses:
        view = view_of(observation, key)
        frozen = view.version.spec.suspend or observation.suspended or not view.came_first
        if (
            frozen
            or not isinstance(view.reading, QueueReading)
            or status.phase is not Phase.RETIRED
        ):
            continue
        if says(status, ConditionType.OBLITERATED)[0] is ConditionStatus.TRUE:
            asked = view.version.spec.retire.obliterate is Obliterate.WHEN_DRAINED
            assert not view.reading.has_keys or key in swept or not asked


@often
@given(brought_back() | anything)
def test_workers_come_back_to_no_queue_that_lacks_its_settings(observation: Observation) -> None:
    result = plan(observation)
    due = {
        view.version.workload(ref)
        for view in observation.versions
        for ref in view.version.spec.workers
        if says(dict(result.statuses)[view.version.key], ConditionType.WORKERS_SCALED_DOWN)[1]
        == "SettingsFirst"
    }
    for action in result.actions:
        if isinstance(action, RestoreReplicas):
            assert action.workload.key not in due
            status = dict(result.statuses)[action.version]
            assert status.retirement.queue_settings == ()


@often
@given(ripe_for_deletion() | anything)
def test_a_version_on_its_way_out_moves_on_by_itself_or_says_what_it_waits_for(
    observation: Observation,
) -> None:
    result = plan(observation)
    moving = {action.version for action in result.actions} | set(result.inventories)
    for key, status in result.statuses:
        if status.phase not in (Phase.DRAINING, Phase.RETIRING, Phase.HELD) or key in moving:
            continue
        told = {c.type: c for c in status.conditions}
        down, gone = told[ConditionType.WORKERS_SCALED_DOWN], told[ConditionType.OBLITERATED]
        assert (
            told[ConditionType.DRAINED].status is not ConditionStatus.TRUE
            or told[ConditionType.HELD].status is not ConditionStatus.FALSE
            or told[ConditionType.READY].status is not ConditionStatus.TRUE
            or "suspended" in told[ConditionType.READY].message
            or (down.status, down.reason) == (ConditionStatus.FALSE, "ScalingDown")
            or (gone.reason == "Waiting" and result.look_again_at is not None)
        )
