"""`QueueVersion.spec`, as the CRD in crds/queueversions.yaml defines it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import timedelta

from bullmq_operator.domain.names import RedisSource


class State(enum.StrEnum):
    """Who decides whether this version serves."""

    AUTO = "Auto"
    PINNED = "Pinned"
    STOPPED = "Stopped"
    RETIRED = "Retired"


class ActivationPolicy(enum.StrEnum):
    """When a version may supersede lower ones."""

    WORKERS_READY = "WorkersReady"
    IMMEDIATE = "Immediate"
    MANUAL = "Manual"


class OnTimeout(enum.StrEnum):
    """What a passed drain deadline does."""

    SCALE_DOWN = "ScaleDown"
    HOLD = "Hold"
    MIGRATE = "Migrate"
    DISCARD = "Discard"


class Obliterate(enum.StrEnum):
    """Whether a drained queue is removed from Redis."""

    WHEN_DRAINED = "WhenDrained"
    NEVER = "Never"


class FailedJobs(enum.StrEnum):
    """What failed jobs mean to a queue that is otherwise done."""

    HOLD = "Hold"
    DISCARD = "Discard"


class LateJobs(enum.StrEnum):
    """What jobs added to a retired queue do."""

    REOPEN = "Reopen"
    MIGRATE = "Migrate"
    HOLD = "Hold"


@dataclass(frozen=True, slots=True)
class Activation:
    """`spec.activation`."""

    policy: ActivationPolicy = ActivationPolicy.WORKERS_READY
    min_ready: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Drain:
    """`spec.drain`."""

    handover: str = "OwnWorkers"
    quiet_period: timedelta = timedelta(minutes=1)
    timeout: timedelta | None = None
    on_timeout: OnTimeout = OnTimeout.SCALE_DOWN
    schedulers: str = "Block"


@dataclass(frozen=True, slots=True)
class Retire:
    """`spec.retire`."""

    delay: timedelta = timedelta(hours=24)
    obliterate: Obliterate = Obliterate.WHEN_DRAINED
    approval: str = "Automatic"
    failed_jobs: FailedJobs = FailedJobs.HOLD
    archive: bool = False
    late_jobs: LateJobs = LateJobs.REOPEN


@dataclass(frozen=True, slots=True)
class Keep:
    """Which finished jobs stay: none above either limit. None: no such limit."""

    age: timedelta | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """`spec.retention`, by BullMQ's state. None: nothing is removed."""

    completed: Keep | None = None
    failed: Keep | None = None

    def __bool__(self) -> bool:
        return self.completed is not None or self.failed is not None


@dataclass(frozen=True, slots=True, order=True)
class WorkloadRef:
    """One entry of `spec.workers`."""

    name: str
    kind: str = "Deployment"
    api_version: str = "apps/v1"


@dataclass(frozen=True, slots=True)
class Spec:
    """`QueueVersion.spec` with the CRD's defaults applied."""

    queue: str
    version: str
    order: int | None = None
    queue_name: str | None = None
    prefix: str = "bull"
    redis: RedisSource = field(default_factory=RedisSource)
    workers: tuple[WorkloadRef, ...] = ()
    state: State = State.AUTO
    activation: Activation = field(default_factory=Activation)
    drain: Drain = field(default_factory=Drain)
    retire: Retire = field(default_factory=Retire)
    retention: Retention = field(default_factory=Retention)
    deletion_policy: str = "Orphan"
    suspend: bool = False
