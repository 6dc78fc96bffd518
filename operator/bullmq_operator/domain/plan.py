"""The planner's one output: data, compared with `==` by the tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bullmq_operator.domain.counts import Inventory
from bullmq_operator.domain.names import QueueId, VersionKey
from bullmq_operator.domain.observation import Workload
from bullmq_operator.domain.spec import Retention
from bullmq_operator.domain.status import Status


@dataclass(frozen=True, slots=True)
class ScaleToZero:
    """Set a workload's replicas to 0, provided it is still the one that was looked at."""

    version: VersionKey
    workload: Workload


@dataclass(frozen=True, slots=True)
class RestoreReplicas:
    """Set a workload's replicas back to what they were."""

    version: VersionKey
    workload: Workload
    replicas: int


@dataclass(frozen=True, slots=True)
class RetireQueue:
    """Slices, sweep and close, each guarded by the stamp inside Redis."""

    version: VersionKey
    queue: QueueId
    stamp: str | None
    inventory: Inventory


@dataclass(frozen=True, slots=True)
class SweepRecreated:
    """Remove keys without jobs that an old process made anew in a retired queue."""

    version: VersionKey
    queue: QueueId


@dataclass(frozen=True, slots=True)
class RestoreSettings:
    """Put a reopened queue's own settings back where they are absent."""

    version: VersionKey
    queue: QueueId
    settings: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PruneFinished:
    """Remove finished jobs that are not to be kept any longer."""

    version: VersionKey
    queue: QueueId
    retention: Retention


@dataclass(frozen=True, slots=True)
class MigrateJobs:
    """Move the jobs that no worker has to another version's queue, provided both versions are still
    as they were looked at."""

    version: VersionKey
    queue: QueueId
    target: VersionKey
    target_queue: QueueId
    id_prefix: str
    """Goes before the ids that can't be kept."""


Action = (
    ScaleToZero
    | RestoreReplicas
    | RetireQueue
    | SweepRecreated
    | RestoreSettings
    | PruneFinished
    | MigrateJobs
)


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes Event on a version."""

    version: VersionKey
    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write, then what to do. Statuses are written before any action is taken, so that
    what an action needs to be undone or recognised is on record first."""

    statuses: tuple[tuple[VersionKey, Status], ...] = ()
    """Desired status of every version, sorted by key."""
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    inventories: tuple[VersionKey, ...] = ()
    """Versions whose keys must be inventoried before the plan can go on."""
    look_again_at: datetime | None = None
    """When something becomes due by time alone."""
