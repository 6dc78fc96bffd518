"""Valid defaults of the planner's input, to be changed where a test cares.

The default is a current version of family `orders` on a quiet, empty queue that once had jobs, with
one ready Deployment and one attached worker.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bullmq_operator.domain.counts import (
    AttachedClient,
    Inventory,
    QueueCounts,
    QueueReading,
    Unknown,
    UnknownReason,
)
from bullmq_operator.domain.names import Backend, FamilyKey, RedisSource, VersionKey, WorkloadKey
from bullmq_operator.domain.observation import (
    Observation,
    Pods,
    QueueVersion,
    VersionView,
    Workload,
    WorkloadView,
)
from bullmq_operator.domain.plan import Plan
from bullmq_operator.domain.spec import Spec, State, WorkloadRef
from bullmq_operator.domain.status import Condition, ConditionType, Status, WorkerStatus

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=30)
REDIS = "redis:6379/0"
STAMP = "1700000000000-7"
AWAY = Unknown(UnknownReason.UNREACHABLE, "Redis redis:6379 does not answer")
ATTACHED = (AttachedClient("10.0.0.9:4000", "bull:b3JkZXJz"),)


def a_version(version: str = "1", **over: Any) -> QueueVersion:
    """`orders-v<version>` in namespace shop; fields of the spec, or `status` and the rest."""
    meta = {k: over.pop(k) for k in ("status", "deleting", "approve", "generation") if k in over}
    meta.setdefault("status", a_status())
    over.setdefault("workers", (WorkloadRef(f"worker-v{version}"),))
    spec = Spec(queue="orders", version=version, **over)
    return QueueVersion(
        key=VersionKey("shop", f"orders-v{version}"),
        uid=f"uid-{version}",
        generation=meta.pop("generation", 1),
        resource_version="7",
        spec=spec,
        **meta,
    )


def a_status(**over: Any) -> Status:
    """Of a version that serves since long and had seven jobs."""
    fields: dict[str, Any] = {
        "redis": REDIS,
        "queue_first_seen_at": LONG_AGO,
        "jobs_added": 7,
        "current_since": LONG_AGO,
    }
    return Status(**{**fields, **over})


def a_reading(**over: Any) -> QueueReading:
    """An empty queue that had seven jobs; counts by their names."""
    names = QueueCounts.__dataclass_fields__
    counts = QueueCounts(**{k: over.pop(k) for k in list(over) if k in names})
    fields: dict[str, Any] = {"jobs_added": 7, "has_keys": True, "stamp": STAMP, "redis_time": NOW}
    return QueueReading(counts=counts, **{**fields, **over})


def nothing_there(**over: Any) -> QueueReading:
    """A queue without keys."""
    return replace(a_reading(), **{"jobs_added": None, "has_keys": False, "stamp": None, **over})


def a_workload(ref: WorkloadRef, replicas: int = 3, **over: Any) -> Workload:
    """A Deployment with all its replicas ready."""
    return Workload(
        key=WorkloadKey("shop", ref.kind, ref.name),
        uid=f"uid-{ref.name}",
        resource_version="11",
        replicas=replicas,
        **{"ready_replicas": replicas, **over},
    )


def a_workload_view(ref: WorkloadRef, replicas: int = 3, **over: Any) -> WorkloadView:
    """With as many ready Pods as replicas, unless `pods` says otherwise."""
    pods = Pods(total=replicas, ready=replicas, ready_since=LONG_AGO if replicas else None)
    return WorkloadView(ref, a_workload(ref, replicas), **{"pods": pods, **over})


def a_view(version: QueueVersion | None = None, *, replicas: int = 3, **over: Any) -> VersionView:
    """A version on its queue, idle for a day."""
    version = version or a_version()
    fields: dict[str, Any] = {
        "reading": a_reading(),
        "redis": REDIS,
        "clients": ATTACHED if replicas else (),
        "idle_for": timedelta(days=1),
        "workloads": tuple(a_workload_view(ref, replicas) for ref in version.spec.workers),
    }
    return VersionView(version, **{**fields, **over})


def an_observation(*views: VersionView, now: datetime = NOW, **over: Any) -> Observation:
    """Of family shop/orders."""
    family = FamilyKey(Backend("shop", RedisSource()), "bull", "orders")
    return Observation(now, family, tuple(views), **over)


def a_drained(version: str = "1", **over: Any) -> QueueVersion:
    """Retired by its state, proven empty a week ago, workers gone since, scaled down from 3."""
    refs = over.get("workers", (WorkloadRef(f"worker-v{version}"),))
    status = dict(over.pop("status", {}))
    proof = {"stamp": STAMP, **status.pop("retirement", {})}
    week = NOW - timedelta(days=7)
    fields = {
        "drain_started_at": week,
        "drained_at": week,
        "workers_gone_at": week,
        "empty_since": week,
        "workers": tuple(WorkerStatus(ref, 0, 3) for ref in refs),
        **status,
    }
    full = a_status(**fields)
    full = replace(full, retirement=replace(full.retirement, **proof))
    return a_version(version, status=full, **{"state": State.RETIRED, **over})


def an_inventory(**over: Any) -> Inventory:
    """Nothing but finished jobs, at the stamp of the proof."""
    return Inventory(**{"stamp": STAMP, "finished_jobs": 0, **over})


def status_of(plan: Plan, version: QueueVersion) -> Status:
    """What the plan writes for the version."""
    return dict(plan.statuses)[version.key]


def condition_of(plan: Plan, version: QueueVersion, type_: ConditionType) -> Condition:
    """One of its conditions, which must be there."""
    found = status_of(plan, version).condition(type_)
    assert found is not None, f"no condition {type_}"
    return found


def written_back(observation: Observation, plan: Plan) -> Observation:
    """The same world, after the plan's statuses were written; outcomes count once."""
    written = dict(plan.statuses)
    views = tuple(
        replace(
            view,
            outcome=None,
            version=replace(
                view.version, status=written.get(view.version.key, view.version.status)
            ),
        )
        for view in observation.versions
    )
    return replace(observation, versions=views)
