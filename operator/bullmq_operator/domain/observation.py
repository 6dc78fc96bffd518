"""The planner's one input: a family, as it was seen at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bullmq_operator.domain.counts import (
    Clients,
    Inventory,
    QueueDetail,
    QueueReading,
    RetirementOutcome,
    Unknown,
)
from bullmq_operator.domain.migration import MigrationRun
from bullmq_operator.domain.names import (
    Backend,
    FamilyKey,
    QueueId,
    VersionKey,
    WorkloadKey,
    queue_name,
)
from bullmq_operator.domain.spec import Spec, WorkloadRef
from bullmq_operator.domain.status import Status


@dataclass(frozen=True, slots=True)
class QueueVersion:
    """One QueueVersion object, as the API server has it."""

    key: VersionKey
    uid: str
    generation: int
    resource_version: str
    spec: Spec
    status: Status = field(default_factory=Status)
    deleting: bool = False
    approve: str | None = None
    """The annotation `bullmq-operator.dev/approve`."""

    @property
    def queue(self) -> QueueId:
        """The physical queue."""
        backend = Backend(self.key.namespace, self.spec.redis)
        name = self.spec.queue_name or queue_name(self.spec.queue, self.spec.version)
        return QueueId(backend, self.spec.prefix, name)

    @property
    def family(self) -> FamilyKey:
        """The family it belongs to."""
        return FamilyKey(
            Backend(self.key.namespace, self.spec.redis), self.spec.prefix, self.spec.queue
        )

    def workload(self, ref: WorkloadRef) -> WorkloadKey:
        """The object an entry of `spec.workers` names."""
        return WorkloadKey(self.key.namespace, ref.kind, ref.name, ref.api_version)


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment or StatefulSet, slim."""

    key: WorkloadKey
    uid: str
    resource_version: str
    replicas: int
    """`spec.replicas`."""
    ready_replicas: int = 0
    observed: bool = True
    """Whether its controller has seen the newest generation."""
    selector: tuple[tuple[str, str], ...] = ()
    """`spec.selector.matchLabels`."""
    selector_expressions: bool = False
    replicas_manager: str | None = None
    """The field manager that owns `spec.replicas`; None when nobody does."""


@dataclass(frozen=True, slots=True)
class Pods:
    """The Pods that match a workload's selector, terminating ones included."""

    total: int = 0
    terminating: int = 0
    ready: int = 0
    ready_since: datetime | None = None
    """When the last of the ready Pods became so."""
    addresses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class WorkloadView:
    """One entry of `spec.workers` and what is there."""

    ref: WorkloadRef
    workload: Workload | None
    """None: there is no such object."""
    pods: Pods | None = None
    """None: not known."""
    scale_to_zero_allowed: bool = False
    """An autoscaler with minimum 0 keeps it: at zero on purpose counts as ready."""
    needed_by: tuple[VersionKey, ...] = ()
    """Versions outside this family that still need it, sorted."""
    contested_by: str | None = None
    """Who set the replicas back each time we scaled to zero; None: nobody, or it is time to try
    again."""


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version of the family and its surroundings."""

    version: QueueVersion
    reading: QueueReading | Unknown
    redis: str | None = None
    """`host:port/db` of the Redis behind `reading`."""
    maxmemory_policy: str | None = None
    """Of that Redis; None where it does not tell."""
    detail: QueueDetail | None = None
    clients: Clients = ()
    idle_for: timedelta | None = None
    """For how long nothing happened in the queue, by the stamp and Redis's clock, else by our own
    watch over unchanged counters. None: not known yet."""
    workloads: tuple[WorkloadView, ...] = ()
    settings: tuple[tuple[str, str], ...] | None = None
    """The queue's own settings (fields of BullMQ's `meta`), sorted. Looked at only while some are
    to be given back, or where keys without jobs are there after a deletion; None: not read."""
    inventory: Inventory | Unknown | None = None
    """None: not taken; the planner asks for it by `Plan.inventories`."""
    outcome: RetirementOutcome | None = None
    """What the calls that take jobs or keys away did since the last pass."""
    migration: MigrationRun | None = None
    """The last run over its jobs for `onTimeout: Migrate`; None: there was none since the start."""
    failure: str | None = None
    """Why the last action on it failed; None: it did not, or nothing was done since the start."""
    pruned_at: datetime | None = None
    """When its finished jobs were last looked through for `spec.retention`; None: not since the
    start, or not to the end."""
    rivals: tuple[VersionKey, ...] = ()
    """Other QueueVersions on the same physical queue, sorted: nothing destructive happens to it."""
    came_first: bool = True
    """Whether no rival was seen on the queue before: this one goes on serving."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A family at one moment."""

    now: datetime
    family: FamilyKey
    versions: tuple[VersionView, ...]
    """Sorted by key."""
    suspended: bool = False
    """The namespace is annotated `bullmq-operator.dev/suspend: "true"`."""
