"""`QueueVersion.status`: all that the operator remembers of a version."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bullmq_operator.domain.counts import QueueCounts
from bullmq_operator.domain.spec import WorkloadRef


class Phase(enum.StrEnum):
    """One word for people; conditions are the contract."""

    PENDING = "Pending"
    CURRENT = "Current"
    DRAINING = "Draining"
    HELD = "Held"
    STOPPED = "Stopped"
    RETIRING = "Retiring"
    RETIRED = "Retired"


class ConditionType(enum.StrEnum):
    """The types of `status.conditions`."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    DRAINED = "Drained"
    HELD = "Held"
    WORKERS_SCALED_DOWN = "WorkersScaledDown"
    OBLITERATED = "Obliterated"
    BACKEND_REACHABLE = "BackendReachable"
    RETIRED = "Retired"
    CONFLICT = "Conflict"
    LATE_JOBS = "LateJobs"


class ConditionStatus(enum.StrEnum):
    """Kubernetes's three values."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    """One entry of `status.conditions`."""

    type: ConditionType
    status: ConditionStatus
    reason: str
    message: str
    last_transition: datetime
    observed_generation: int | None = None


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """What is remembered of one workload."""

    ref: WorkloadRef
    replicas: int | None = None
    """`spec.replicas` as last seen; None when the workload does not exist."""
    restore_replicas: int | None = None
    """What a rollback or a Reopen sets again; None: nothing was scaled down by us."""


@dataclass(frozen=True, slots=True)
class RetirementStatus:
    """`status.retirement`. With `started_at`, an absent queue is retired, not vanished."""

    started_at: datetime | None = None
    stamp: str | None = None
    queue_settings: tuple[tuple[str, str], ...] = ()
    obliterated_jobs: int = 0
    swept_keys: int = 0
    migrated_jobs: int = 0
    late_jobs: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """`QueueVersion.status`."""

    observed_generation: int = -1
    phase: Phase = Phase.PENDING
    queue_name: str | None = None
    redis: str | None = None
    """`host:port/db` of the Redis that was last read; a change resets every proof."""
    queue_first_seen_at: datetime | None = None
    jobs_added: int | None = None
    """BullMQ's id counter at its last reading: what tells a vanished queue from an unused one."""
    current_version: str | None = None
    superseded_by: str | None = None
    current_since: datetime | None = None
    drain_started_at: datetime | None = None
    drain_deadline: datetime | None = None
    drain_warned_at: datetime | None = None
    """When the Warning ahead of what can't be taken back was given."""
    empty_since: datetime | None = None
    drained_at: datetime | None = None
    workers_gone_at: datetime | None = None
    retired_at: datetime | None = None
    reopenings: int = 0
    jobs: QueueCounts | None = None
    """None when unknown, never zeros."""
    workers_ready: str | None = None
    workers: tuple[WorkerStatus, ...] = ()
    retirement: RetirementStatus = field(default_factory=RetirementStatus)
    conditions: tuple[Condition, ...] = ()

    def condition(self, type_: ConditionType) -> Condition | None:
        """The condition of a type, or None when it is absent."""
        return next((c for c in self.conditions if c.type is type_), None)

    def restore_replicas(self) -> Mapping[WorkloadRef, int]:
        """Replicas to restore, of the workloads that were scaled down."""
        return {w.ref: w.restore_replicas for w in self.workers if w.restore_replicas is not None}
