"""Families in any state, also ones that no history leads to: the invariants must hold in all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from bullmq_operator.domain.counts import Clients, ClientsUnknown, Inventory, QueueReading, Unknown
from bullmq_operator.domain.names import VersionKey
from bullmq_operator.domain.observation import Observation, Pods, QueueVersion, VersionView
from bullmq_operator.domain.spec import (
    Activation,
    ActivationPolicy,
    Drain,
    FailedJobs,
    LateJobs,
    Obliterate,
    OnTimeout,
    Retire,
    State,
    WorkloadRef,
)
from bullmq_operator.domain.status import Phase, RetirementStatus, Status, WorkerStatus
from tests.support.builders import (
    ATTACHED,
    AWAY,
    LONG_AGO,
    NOW,
    REDIS,
    STAMP,
    a_drained,
    a_reading,
    a_status,
    a_version,
    a_view,
    a_workload_view,
    an_inventory,
    an_observation,
    nothing_there,
)

OTHER_STAMP = "1700000000001-0"
SHARED = WorkloadRef("worker-shared")
SETTINGS = (("concurrency", "1"),)
FEW = st.sampled_from([0, 0, 0, 1, 3])
STAMPS = st.sampled_from([STAMP, STAMP, OTHER_STAMP, None])
MOMENTS = st.sampled_from(
    [None, LONG_AGO, NOW - timedelta(hours=2), NOW - timedelta(seconds=10), NOW]
)


@st.composite
def readings(draw: st.DrawFn) -> QueueReading | Unknown:
    """Empty, busy, absent or unread."""
    if draw(st.integers(0, 5)) == 0:
        return AWAY
    states = ("waiting", "active", "delayed", "paused", "waiting_children", "schedulers", "failed")
    counts = {name: draw(FEW) for name in states} if draw(st.booleans()) else {}
    return a_reading(
        **counts,
        jobs_added=draw(st.sampled_from([7, 7, 9, None])),
        has_keys=draw(st.booleans()),
        stamp=draw(STAMPS),
        is_paused=draw(st.booleans()),
    )


@st.composite
def statuses(draw: st.DrawFn, refs: tuple[WorkloadRef, ...]) -> Status:
    """Any stage of a life; a proof and what follows it come in their order."""
    reached = draw(st.integers(0, 5))
    then = LONG_AGO if draw(st.booleans()) else NOW - timedelta(hours=2)
    fields: dict[str, Any] = {
        "current_since": draw(st.sampled_from([None, LONG_AGO])),
        "queue_first_seen_at": draw(st.sampled_from([None, LONG_AGO])),
        "jobs_added": draw(st.sampled_from([None, 7, 7, 8])),
        "redis": draw(st.sampled_from([None, REDIS, REDIS, "other:6379/0"])),
        "phase": draw(st.sampled_from(list(Phase))),
        "superseded_by": draw(st.sampled_from([None, "2"])),
        "reopenings": draw(FEW),
        "drain_started_at": then if reached >= 1 else None,
        "drain_warned_at": draw(st.sampled_from([None, LONG_AGO, NOW - timedelta(minutes=1)])),
        "drained_at": then if reached >= 2 else None,
        "workers_gone_at": then if reached >= 3 else None,
        "retired_at": then if reached >= 5 else None,
        "retirement": RetirementStatus(
            started_at=then if reached >= 4 else None,
            stamp=draw(STAMPS) if reached >= 2 else None,
            late_jobs=draw(FEW),
            queue_settings=draw(st.sampled_from([(), (), SETTINGS])),
        ),
        "workers": tuple(
            WorkerStatus(ref, draw(st.sampled_from([None, 0, 3])), draw(st.sampled_from([None, 3])))
            for ref in sorted(refs)
        ),
    }
    return a_status(**fields)


@st.composite
def versions(draw: st.DrawFn, number: str) -> QueueVersion:
    """Policies that this release supports."""
    own, shared = (WorkloadRef(f"worker-v{number}"),), (SHARED,)
    refs = draw(st.sampled_from([own, shared, own + shared, ()]))
    return a_version(
        number,
        workers=refs,
        status=draw(statuses(refs)),
        state=draw(st.sampled_from([State.AUTO, State.AUTO, *State])),
        order=draw(st.sampled_from([None, None, None, 1])),
        suspend=draw(st.integers(0, 9)) == 0,
        activation=Activation(draw(st.sampled_from(list(ActivationPolicy)))),
        drain=Drain(
            timeout=draw(st.sampled_from([None, timedelta(hours=1), timedelta(days=90)])),
            on_timeout=draw(
                st.sampled_from([OnTimeout.SCALE_DOWN, OnTimeout.HOLD, OnTimeout.MIGRATE])
            ),
        ),
        retire=Retire(
            delay=draw(st.sampled_from([timedelta(0), timedelta(hours=24)])),
            obliterate=draw(st.sampled_from(list(Obliterate))),
            failed_jobs=draw(st.sampled_from(list(FailedJobs))),
            late_jobs=draw(st.sampled_from([LateJobs.REOPEN, LateJobs.HOLD])),
        ),
    )


@st.composite
def views(draw: st.DrawFn, number: str, replicas: dict[WorkloadRef, int]) -> VersionView:
    """A version and its surroundings; workloads of one name are one workload."""
    version = draw(versions(number))
    attached: list[Clients] = [(), ATTACHED, ClientsUnknown("CLIENT is refused")]
    clients = draw(st.sampled_from(attached))
    rival = VersionKey("shop", "adopter")
    rivalry = draw(st.sampled_from([None, None, None, "and it came later", "and it came first"]))
    orphans = draw(st.sampled_from([(), (), ("9",)]))
    taken = Inventory(stamp=draw(STAMPS), finished_jobs=7, orphans=orphans)
    workloads = []
    for ref in version.spec.workers:
        view = a_workload_view(ref, replicas.setdefault(ref, draw(st.sampled_from([0, 3]))))
        pods = draw(st.sampled_from([view.pods, None, Pods(total=1, terminating=1)]))
        absent = draw(st.integers(0, 9)) == 0
        contested_by = draw(st.sampled_from([None, None, "flux"]))
        present = None if absent else view.workload
        workloads.append(replace(view, pods=pods, workload=present, contested_by=contested_by))
    return a_view(
        version,
        reading=draw(readings()),
        clients=clients,
        workloads=tuple(workloads),
        settings=draw(st.sampled_from([None, (), SETTINGS])),
        failure=draw(st.sampled_from([None, None, "the API server forbids it"])),
        idle_for=draw(st.sampled_from([None, timedelta(0), timedelta(days=1)])),
        inventory=draw(st.sampled_from([None, taken, AWAY])),
        rivals=(rival,) if rivalry else (),
        came_first=rivalry != "and it came first",
    )


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    """One to three versions of a family."""
    replicas: dict[WorkloadRef, int] = {}
    numbers = ("1", "2", "3")[: draw(st.integers(1, 3))]
    found = [draw(views(number, replicas)) for number in numbers]
    return an_observation(*found, suspended=draw(st.integers(0, 9)) == 0)


SPOILED: tuple[dict[str, Any], ...] = (
    *[{} for _ in range(25)],
    {"reading": a_reading(waiting=1)},
    {"reading": a_reading(schedulers=1)},
    {"reading": a_reading(stamp=OTHER_STAMP)},
    {"reading": a_reading(stamp=None)},
    {"reading": a_reading(failed=1)},
    {"reading": a_reading(jobs_added=None)},
    {"reading": a_reading(jobs_added=6)},
    {"reading": nothing_there(has_keys=True), "settings": SETTINGS},
    {"reading": nothing_there(has_keys=True, is_paused=True), "settings": ()},
    {"reading": nothing_there(has_keys=True), "settings": ()},
    {"reading": AWAY},
    {"inventory": an_inventory(stamp=OTHER_STAMP)},
    {"inventory": an_inventory(unknown_keys=("x",))},
    {"inventory": AWAY},
    {"inventory": None},
    {"rivals": (VersionKey("shop", "adopter"),)},
    {"rivals": (VersionKey("shop", "adopter"),), "came_first": False},
    {"redis": "other:6379/0"},
    {"workloads": (a_workload_view(WorkloadRef("worker-v1"), 0, pods=Pods(1, terminating=1)),)},
    {"workloads": (a_workload_view(WorkloadRef("worker-v1"), 0, pods=None),)},
    {"workloads": (a_workload_view(WorkloadRef("worker-v1"), 3),)},
)

LOST: tuple[dict[str, Any], ...] = ({}, {"reading": a_reading(jobs_added=6)})
"""What went without our doing."""

LEFT: tuple[dict[str, Any], ...] = (
    {"reading": nothing_there(has_keys=True), "settings": ()},
    {"reading": nothing_there(has_keys=True), "settings": SETTINGS},
    {"reading": nothing_there(has_keys=True, is_paused=True)},
    {"rivals": (VersionKey("shop", "adopter"),)},
)
"""What may be there after the end."""


@st.composite
def ripe_for_deletion(
    draw: st.DrawFn, spoiled_by: tuple[dict[str, Any], ...] = SPOILED
) -> Observation:
    """All holds, or all but one or two things; it may have begun, or be over."""
    reached = draw(st.integers(0, 3))
    status: dict[str, Any] = {
        "workers_gone_at": draw(st.sampled_from([*[LONG_AGO] * 4, NOW, None])),
        "retirement": {"started_at": LONG_AGO if reached >= 2 else None},
        "retired_at": LONG_AGO if reached == 3 else None,
    }
    version = a_drained(status=status, state=draw(st.sampled_from([*[State.RETIRED] * 9, *State])))
    spoiled = draw(st.sampled_from(spoiled_by)) | draw(st.sampled_from(spoiled_by))
    fields = {"replicas": 0, "inventory": an_inventory(), **spoiled}
    return an_observation(a_view(version, **fields), suspended=draw(st.integers(0, 9)) == 0)


@st.composite
def out_of_time(draw: st.DrawFn) -> Observation:
    """v1 has unfinished jobs that are to move to v2 at its deadline, or all but one thing holds."""
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    status = a_status(
        superseded_by="2",
        drain_started_at=draw(st.sampled_from([*[NOW - hour] * 4, NOW - hour + minute])),
        drain_warned_at=draw(st.sampled_from([*[NOW - 5 * minute] * 4, NOW - minute, None])),
    )
    on_timeout = draw(st.sampled_from([*[OnTimeout.MIGRATE] * 6, OnTimeout.HOLD]))
    version = a_version(
        "1",
        status=status,
        drain=Drain(timeout=hour, on_timeout=on_timeout),
        state=draw(st.sampled_from([*[State.AUTO] * 6, State.RETIRED, State.PINNED])),
        suspend=draw(st.integers(0, 9)) == 0,
    )
    rivals = ((), (), (), (), (VersionKey("shop", "adopter"),))
    unfinished = [a_reading(waiting=1), a_reading(delayed=2), a_reading(active=1), AWAY]
    old = a_view(
        version,
        reading=draw(st.sampled_from(unfinished)),
        clients=draw(st.sampled_from([(), ATTACHED])),
        rivals=draw(st.sampled_from(rivals)),
    )
    newer = a_version(
        "2",
        state=draw(st.sampled_from([*[State.AUTO] * 6, State.STOPPED, State.RETIRED])),
        suspend=draw(st.integers(0, 9)) == 0,
    )
    new = a_view(newer, rivals=draw(st.sampled_from(rivals)))
    return an_observation(old, new, suspended=draw(st.integers(0, 9)) == 0)


@st.composite
def brought_back(draw: st.DrawFn) -> Observation:
    """Two versions that serve again, or have late jobs, with workers at zero: of their own, or
    shared."""
    found = []
    for number in ("1", "2"):
        ref = draw(st.sampled_from([SHARED, WorkloadRef(f"worker-v{number}")]))
        record = RetirementStatus(queue_settings=draw(st.sampled_from([(), SETTINGS])))
        down = (WorkerStatus(ref, 0, 3),)
        version = a_version(
            number,
            workers=(ref,),
            state=draw(st.sampled_from([State.PINNED, State.RETIRED])),
            status=a_status(workers=down, retirement=record),
            suspend=draw(st.integers(0, 5)) == 0,
        )
        reading = draw(st.sampled_from([a_reading(waiting=1), AWAY]))
        seen = draw(st.sampled_from([None, (), SETTINGS]))
        found.append(a_view(version, replicas=0, reading=reading, settings=seen))
    return an_observation(*found)
