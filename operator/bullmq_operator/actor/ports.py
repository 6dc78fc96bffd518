"""What the actor asks of the layers beside and below it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from bullmq_operator.domain.counts import RetirementOutcome, Unknown
from bullmq_operator.domain.migration import MigrationRun
from bullmq_operator.domain.names import QueueId, VersionKey, WorkloadKey
from bullmq_operator.domain.observation import QueueVersion, Workload

if TYPE_CHECKING:
    from bullmq_operator.queues.connection import RedisConnection


class World(Protocol):
    """The observer's memory, as far as the actor uses it. Putting an object wakes the families
    that it touches."""

    def version(self, key: VersionKey) -> QueueVersion | None:
        """The version as last seen."""

    def claimants(self, version: QueueVersion) -> tuple[VersionKey, ...]:
        """Other versions that name the same physical queue."""

    def is_suspended(self, namespace: str) -> bool:
        """Whether the namespace is frozen."""

    def put_version(self, version: QueueVersion) -> None:
        """The answer to a write of ours."""

    def drop_version(self, key: VersionKey) -> None:
        """The API server says that it is gone."""

    def put_workload(self, workload: Workload) -> None:
        """The answer to a scaling of ours."""

    def drop_workload(self, key: WorkloadKey) -> None:
        """The API server says that it is gone."""

    def scaled_to_zero(self, key: WorkloadKey) -> None:
        """We set its replicas to 0."""

    def restored(self, key: WorkloadKey) -> None:
        """We set its replicas back."""

    def put_outcome(self, key: VersionKey, outcome: RetirementOutcome) -> None:
        """What the calls that take away did, for the next observation."""

    def outcome_recorded(self, key: VersionKey, outcome: RetirementOutcome) -> None:
        """It is in the status now."""

    def acted(self, key: VersionKey, failure: str | None) -> None:
        """An action on the version failed for this reason, for the next observation; None: none
        did."""

    def pruned(self, key: VersionKey, at: datetime) -> None:
        """Its finished jobs were looked through to the end."""

    def migrated(self, key: VersionKey, run: MigrationRun) -> None:
        """A run over its jobs came to its end."""

    async def connection(self, queue: QueueId, *, fresh: bool = False) -> RedisConnection | Unknown:
        """The Redis of a queue; `fresh` resolves its Secrets anew."""


class Tally(Protocol):
    """What is counted for the metrics."""

    def pruned(self, version: QueueVersion, state: str, jobs: int, bytes_freed: int) -> None:
        """Finished jobs were removed by `spec.retention`."""


class Kubernetes(Protocol):
    """The calls of kube.client.KubeClient that write, and those that look again."""

    async def is_suspended(self, namespace: str) -> bool:
        """Whether the namespace is annotated `bullmq-operator.dev/suspend: "true"`."""

    async def get_version(self, key: VersionKey) -> dict[str, Any] | None:
        """The object as it is now; None when it is gone."""

    async def get_workload(self, key: WorkloadKey) -> dict[str, Any] | None:
        """The object as it is now; None when it is gone."""

    async def patch_status(
        self, version: QueueVersion, status_patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Merge a patch into the status; the whole object afterwards."""

    async def scale(self, workload: Workload, replicas: int) -> Workload:
        """Set the replicas; the workload afterwards."""

    async def post_event(
        self, version: QueueVersion, reason: str, message: str, warning: bool, *, now: datetime
    ) -> None:
        """Post, or count up, an Event."""
