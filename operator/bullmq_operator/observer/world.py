"""The observer's memory as others write to it: the watches, and the answers to our own acts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from bullmq_operator.domain.counts import RetirementOutcome, Unknown
from bullmq_operator.domain.migration import MigrationRun
from bullmq_operator.domain.names import FamilyKey, QueueId, VersionKey, WorkloadKey
from bullmq_operator.domain.observation import QueueVersion, Workload
from bullmq_operator.observer.backends import Backends
from bullmq_operator.observer.cache import Cache, Touched
from bullmq_operator.observer.contests import Contests
from bullmq_operator.observer.outcomes import Outcomes
from bullmq_operator.queues.connection import RedisConnection


class ObservedWorld:
    """Every change of an object wakes the families it touches, so that nothing waits for the
    watch to tell us what we did ourselves."""

    def __init__(
        self,
        *,
        cache: Cache,
        backends: Backends,
        contests: Contests,
        outcomes: Outcomes,
        wake: Callable[[FamilyKey], None],
    ) -> None:
        self._cache = cache
        self._backends = backends
        self._contests = contests
        self._outcomes = outcomes
        self._wake = wake

    def version(self, key: VersionKey) -> QueueVersion | None:
        """The version as last seen."""
        return self._cache.version(key)

    def versions(self) -> Iterator[QueueVersion]:
        """All versions."""
        return self._cache.versions()

    def workloads(self) -> Iterator[Workload]:
        """All workloads."""
        return self._cache.workloads()

    def claimants(self, version: QueueVersion) -> tuple[VersionKey, ...]:
        """Other versions that name the same physical queue."""
        return self._cache.claimants(version)

    def is_suspended(self, namespace: str) -> bool:
        """Whether the namespace is frozen."""
        return self._cache.is_suspended(namespace)

    def put_version(self, version: QueueVersion) -> None:
        """A version as the API server has it."""
        self._wake_all(self._cache.upsert_version(version))

    def drop_version(self, key: VersionKey) -> None:
        """The API server says that it is gone."""
        self._outcomes.forget(key)
        self._wake_all(self._cache.remove_version(key))

    def put_workload(self, workload: Workload) -> None:
        """A workload as the API server has it."""
        self._wake_all(self._cache.upsert_workload(workload))

    def drop_workload(self, key: WorkloadKey) -> None:
        """The workload is gone."""
        self._contests.gone(key)
        self._wake_all(self._cache.remove_workload(key))

    def set_resting_at_zero(self, keys: Iterable[WorkloadKey]) -> None:
        """All workloads that an autoscaler with minimum 0 keeps."""
        self._wake_all(self._cache.set_resting_at_zero(keys))

    def scaled_to_zero(self, key: WorkloadKey) -> None:
        """We set its replicas to 0."""
        self._contests.scaled_to_zero(key)

    def restored(self, key: WorkloadKey) -> None:
        """We set its replicas back."""
        self._contests.restored(key)

    def put_outcome(self, key: VersionKey, outcome: RetirementOutcome) -> None:
        """What the calls that take away did, for the next observation."""
        self._outcomes.put(key, outcome)

    def outcome_recorded(self, key: VersionKey, outcome: RetirementOutcome) -> None:
        """It is in the status now."""
        self._outcomes.recorded(key, outcome)

    def acted(self, key: VersionKey, failure: str | None) -> None:
        """An action on the version failed for this reason; None: none did."""
        self._outcomes.acted(key, failure)

    def pruned(self, key: VersionKey, at: datetime) -> None:
        """Its finished jobs were looked through to the end."""
        self._outcomes.pruned(key, at)

    def migrated(self, key: VersionKey, run: MigrationRun) -> None:
        """A run over its jobs came to its end."""
        self._outcomes.migrated(key, run)

    async def connection(self, queue: QueueId, *, fresh: bool = False) -> RedisConnection | Unknown:
        """The Redis of a queue; `fresh` resolves its Secrets anew."""
        return await self._backends.connection(queue, fresh=fresh)

    def _wake_all(self, touched: Touched) -> None:
        for family in touched:
            self._wake(family)
