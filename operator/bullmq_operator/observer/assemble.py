"""One Observation of a family: the cache, and a fresh look at Redis and at the Pods."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, replace

from bullmq_operator.domain.counts import (
    Clients,
    ClientsUnknown,
    Inventory,
    QueueDetail,
    QueueReading,
    Unknown,
)
from bullmq_operator.domain.names import FamilyKey, VersionKey
from bullmq_operator.domain.observation import (
    Observation,
    Pods,
    QueueVersion,
    VersionView,
    Workload,
    WorkloadView,
)
from bullmq_operator.domain.spec import WorkloadRef
from bullmq_operator.domain.status import Phase
from bullmq_operator.kube.pods import pods_view, selector_of
from bullmq_operator.observer.attachments import Attachments
from bullmq_operator.observer.backends import Backends
from bullmq_operator.observer.cache import Cache
from bullmq_operator.observer.contests import Contests
from bullmq_operator.observer.outcomes import Outcomes
from bullmq_operator.observer.ports import Clock, Kubernetes
from bullmq_operator.observer.reader import QueueReader
from bullmq_operator.observer.readings import Seen
from bullmq_operator.observer.suspension import Suspension
from bullmq_operator.observer.wakeup import is_watched_closely
from bullmq_operator.queues.detail import read_detail
from bullmq_operator.queues.errors import QueueReadError
from bullmq_operator.queues.inventory import read_settings, take_inventory


@dataclass(frozen=True, slots=True)
class Sources:
    """All that an Observation is made of."""

    cache: Cache
    reader: QueueReader
    backends: Backends
    attachments: Attachments
    contests: Contests
    outcomes: Outcomes
    suspension: Suspension
    kube: Kubernetes
    clock: Clock


class Assembler:
    """Gathers; decides nothing."""

    def __init__(self, sources: Sources) -> None:
        self._from = sources

    async def observe(self, family: FamilyKey) -> Observation:
        """The family now. Raises KubeError."""
        suspended = await self._from.suspension.of(family.namespace)
        versions = self._from.cache.versions_of(family)
        queues = frozenset(version.queue for version in versions)
        # All of them with their stamp: a version may be superseded in this very pass.
        seen = await self._from.reader.read(queues, stamped=queues)
        views = [self._view(version, seen[version.queue]) for version in versions]
        return Observation(
            versions=tuple(await asyncio.gather(*views)),
            now=self._from.clock.now(),
            family=family,
            suspended=suspended,
        )

    async def with_inventories(
        self, observation: Observation, wanted: Collection[VersionKey]
    ) -> Observation:
        """The same with the keys of some queues walked. That takes a second per million keys, so
        the queues are read again after it: what happened meanwhile shows in their stamps."""
        versions = [view.version for view in observation.versions]
        walked = [version for version in versions if version.key in wanted]
        taken = await asyncio.gather(*map(self._inventory, walked))
        inventories = dict(zip((version.key for version in walked), taken, strict=True))
        queues = frozenset(version.queue for version in versions)
        seen = await self._from.reader.read(queues, stamped=queues)
        views = tuple(
            _read_again(view, seen[view.version.queue], inventories.get(view.version.key))
            for view in observation.versions
        )
        return replace(observation, versions=views, now=self._from.clock.now())

    async def _view(self, version: QueueVersion, seen: Seen) -> VersionView:
        return VersionView(
            version=version,
            reading=seen.reading,
            redis=seen.redis,
            maxmemory_policy=seen.maxmemory_policy,
            detail=await self._detail(version, seen.reading),
            clients=await self._clients(version, seen.reading),
            idle_for=seen.idle_for,
            workloads=await self._workloads(version),
            settings=await self._settings(version, seen.reading),
            outcome=self._from.outcomes.last(version.key),
            migration=self._from.outcomes.migration(version.key),
            failure=self._from.outcomes.failure(version.key),
            pruned_at=self._from.outcomes.pruned_at(version.key),
            rivals=self._from.cache.claimants(version),
            came_first=self._from.cache.came_first(version),
        )

    async def _detail(
        self, version: QueueVersion, reading: QueueReading | Unknown
    ) -> QueueDetail | None:
        """For what is said alone, so a failure is no more than a message without them. Also of a
        version that serves: it may be superseded in this very pass."""
        if isinstance(reading, Unknown):
            return None
        counts = reading.counts
        if not (counts.delayed or counts.schedulers or counts.waiting_children):
            return None
        connection = await self._from.backends.connection(version.queue)
        if isinstance(connection, Unknown):
            return None
        try:
            return await read_detail(connection, version.queue.base)
        except QueueReadError:
            return None

    async def _clients(self, version: QueueVersion, reading: QueueReading | Unknown) -> Clients:
        if isinstance(reading, Unknown):
            return ClientsUnknown(reading.message)
        connection = await self._from.backends.connection(version.queue)
        if isinstance(connection, Unknown):
            return ClientsUnknown(connection.message)
        return await self._from.attachments.of(connection, version.queue)

    async def _settings(
        self, version: QueueVersion, reading: QueueReading | Unknown
    ) -> tuple[tuple[str, str], ...] | None:
        if isinstance(reading, Unknown) or not _settings_matter(version, reading):
            return None
        connection = await self._from.backends.connection(version.queue)
        if isinstance(connection, Unknown):
            return None
        try:
            return await read_settings(connection, version.queue.base)
        except QueueReadError:
            return None

    async def _inventory(self, version: QueueVersion) -> Inventory | Unknown:
        connection = await self._from.backends.connection(version.queue)
        if isinstance(connection, Unknown):
            return connection
        try:
            return await take_inventory(connection, version.queue)
        except QueueReadError as failure:
            return Unknown(failure.reason, failure.message)

    async def _workloads(self, version: QueueVersion) -> tuple[WorkloadView, ...]:
        views = [self._workload(version, ref) for ref in version.spec.workers]
        return tuple(await asyncio.gather(*views))

    async def _workload(self, version: QueueVersion, ref: WorkloadRef) -> WorkloadView:
        key = version.workload(ref)
        workload = self._from.cache.workload(key)
        return WorkloadView(
            ref=ref,
            workload=workload,
            pods=await self._pods(version, workload) if workload is not None else None,
            scale_to_zero_allowed=self._from.cache.may_rest_at_zero(key),
            needed_by=self._from.cache.needed_by(key, version.family),
            contested_by=self._contested_by(workload) if workload is not None else None,
        )

    async def _pods(self, version: QueueVersion, workload: Workload) -> Pods | None:
        """None where they need not be known, or can't be told from other Pods."""
        if version.status.phase is Phase.CURRENT and not is_watched_closely(version):
            return None
        selector = selector_of(workload)
        if not selector:
            return None  # an empty selector would match every Pod of the namespace
        return pods_view(await self._from.kube.pods(workload.key.namespace, selector))

    def _contested_by(self, workload: Workload) -> str | None:
        at = self._from.clock.monotonic()
        self._from.contests.seen(workload, at)
        return self._from.contests.contested_by(workload.key, at)


def _settings_matter(version: QueueVersion, reading: QueueReading) -> bool:
    """Some are to be given back, or somebody may have set some on a queue that was deleted."""
    retirement = version.status.retirement
    left = retirement.started_at is not None and reading.has_keys and reading.jobs_added is None
    return left or bool(retirement.queue_settings)


def _read_again(
    view: VersionView, seen: Seen, inventory: Inventory | Unknown | None
) -> VersionView:
    return replace(
        view,
        reading=seen.reading,
        redis=seen.redis,
        idle_for=seen.idle_for,
        inventory=inventory,
    )
