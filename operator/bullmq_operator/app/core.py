"""The parts between the watches and their effects, put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import structlog

from bullmq_operator.actor.budget import WriteBudget
from bullmq_operator.actor.errors import ActError
from bullmq_operator.actor.execute import Executor
from bullmq_operator.actor.guard import Guard
from bullmq_operator.actor.migration import Migration
from bullmq_operator.actor.pruning import Pruning
from bullmq_operator.actor.publishing import Publisher
from bullmq_operator.actor.retirement import Retirement
from bullmq_operator.actor.scaling import Scaling
from bullmq_operator.clock import Clock
from bullmq_operator.domain.counts import QueueReading
from bullmq_operator.domain.names import FamilyKey, SecretKeyRef
from bullmq_operator.domain.status import Phase
from bullmq_operator.engine.intake import Intake
from bullmq_operator.engine.reconciler import Reconcilers
from bullmq_operator.engine.workqueue import WorkQueue
from bullmq_operator.http.metrics import Metrics, QueueGauge
from bullmq_operator.kube.client import KubeClient
from bullmq_operator.kube.errors import KubeError
from bullmq_operator.observer.assemble import Assembler, Sources
from bullmq_operator.observer.attachments import Attachments
from bullmq_operator.observer.backends import Backends, DefaultRedis
from bullmq_operator.observer.cache import Cache
from bullmq_operator.observer.contests import Contests
from bullmq_operator.observer.hints import Hints
from bullmq_operator.observer.outcomes import Outcomes
from bullmq_operator.observer.poller import Poller
from bullmq_operator.observer.reader import QueueReader
from bullmq_operator.observer.readings import Readings
from bullmq_operator.observer.suspension import Suspension
from bullmq_operator.observer.world import ObservedWorld
from bullmq_operator.planner import plan
from bullmq_operator.queues.errors import QueueReadError
from bullmq_operator.settings import Settings

_log = structlog.stdlib.get_logger("bullmq_operator.reconcile")


@dataclass(frozen=True, slots=True)
class FamilyReconciler:
    """One pass over one family: observe, plan, act."""

    cache: Cache
    assembler: Assembler
    executor: Executor

    async def reconcile(self, family: FamilyKey) -> float | None:
        """Seconds until the family is due again by time alone; None: only news can change it.

        Raises KubeError, QueueReadError or ActError.
        """
        if not self.cache.versions_of(family):
            return None
        observation = await self.assembler.observe(family)
        planned = plan(observation)
        if planned.inventories:
            # Walking all keys of a queue is asked for only when everything else holds.
            wanted = planned.inventories
            observation = await self.assembler.with_inventories(observation, wanted)
            planned = plan(observation)
        put_off = await self.executor.execute(planned, observation)
        return _sooner(put_off, _seconds_until(planned.look_again_at, observation.now))


def _seconds_until(due: datetime | None, now: datetime) -> float | None:
    return None if due is None else max((due - now).total_seconds(), 0.0)


def _sooner(one: float | None, other: float | None) -> float | None:
    return min((seconds for seconds in (one, other) if seconds is not None), default=None)


@dataclass(frozen=True, slots=True)
class Journal:
    """Every pass in the metrics, every failure in one log line."""

    metrics: Metrics

    def succeeded(self, key: FamilyKey, seconds: float) -> None:
        """Count it."""
        self.metrics.passed(seconds, well=True)
        _log.debug("looked at", family=str(key), seconds=round(seconds, 4))

    def failed(self, key: FamilyKey, seconds: float, error: Exception, retry_in: float) -> None:
        """Count and log it; a traceback only for what nobody foresaw."""
        self.metrics.passed(seconds, well=False)
        kind = _kind(error)
        self.metrics.error(kind)
        _log.error(
            "a family could not be reconciled",
            family=str(key),
            kind=kind,
            error=str(error) or type(error).__name__,
            retry_in=round(retry_in, 2),
            exc_info=error if kind == "unexpected" else None,
        )


def _kind(error: Exception) -> str:
    match error:
        case KubeError():
            return "kubernetes"
        case QueueReadError():
            return "redis"
        case ActError():
            return "act"
        case _:
            return "unexpected"


@dataclass(frozen=True, slots=True)
class Fleet:
    """What the metrics tell of the whole, from memory."""

    cache: Cache
    readings: Readings
    workqueue: WorkQueue[FamilyKey]

    def workqueue_depth(self) -> int:
        """Families that wait for a reconciler."""
        return len(self.workqueue)

    def phases(self) -> Counter[Phase]:
        """Versions by phase."""
        return Counter(version.status.phase for version in self.cache.versions())

    def queues(self) -> Iterator[QueueGauge]:
        """Every queue whose last reading succeeded."""
        for version in self.cache.versions():
            seen = self.readings.last(version.queue)
            if seen is not None and isinstance(seen.reading, QueueReading):
                spec = version.spec
                yield QueueGauge(
                    version.key.namespace, spec.queue, spec.version, seen.reading.counts
                )


@dataclass(frozen=True, slots=True)
class Memory:
    """What lives as long as the process, whether it holds the Lease or not."""

    workqueue: WorkQueue[FamilyKey]
    cache: Cache
    readings: Readings

    @classmethod
    def empty(cls, clock: Clock) -> Memory:
        """Nothing known, nothing to do."""
        return cls(WorkQueue(clock.fraction), Cache(), Readings())

    @property
    def fleet(self) -> Fleet:
        """For the metrics."""
        return Fleet(self.cache, self.readings, self.workqueue)


@dataclass(frozen=True, slots=True)
class Core:
    """All parts that run."""

    intake: Intake
    reconcilers: Reconcilers[FamilyKey]
    poller: Poller
    hints: Hints
    backends: Backends

    @classmethod
    def build(
        cls, settings: Settings, clock: Clock, kube: KubeClient, memory: Memory, metrics: Metrics
    ) -> Core:
        """The one place where parts meet."""
        cache, wake = memory.cache, memory.workqueue.add
        backends, contests, outcomes = _backends(settings, clock, kube), Contests(), Outcomes()
        reader = _reader(settings, clock, backends, memory, metrics)
        world = ObservedWorld(
            cache=cache, backends=backends, contests=contests, outcomes=outcomes, wake=wake
        )
        sources = Sources(
            cache=cache,
            reader=reader,
            backends=backends,
            attachments=Attachments(clock),
            contests=contests,
            outcomes=outcomes,
            suspension=Suspension(kube, cache, clock),
            kube=kube,
            clock=clock,
        )
        poller = _poller(settings, sources, memory)
        family = FamilyReconciler(
            cache, Assembler(sources), _executor(kube, world, clock, memory, metrics)
        )
        return cls(
            intake=Intake(world, kube, settings.namespaces),
            reconcilers=Reconcilers(
                memory.workqueue, family.reconcile, Journal(metrics), clock.monotonic
            ),
            poller=poller,
            hints=Hints(cache, backends, memory.readings, poller.look),
            backends=backends,
        )


def _backends(settings: Settings, clock: Clock, kube: KubeClient) -> Backends:
    url, secret = settings.redis_url, settings.redis_secret
    default = DefaultRedis(
        url=url.get_secret_value() if url else None,
        secret=(settings.lease_namespace, SecretKeyRef(secret, "url")) if secret else None,
        may_use=settings.may_use_default_redis,
    )
    return Backends(kube, default, clock)


def _reader(
    settings: Settings, clock: Clock, backends: Backends, memory: Memory, metrics: Metrics
) -> QueueReader:
    return QueueReader(
        backends=backends,
        readings=memory.readings,
        cache=memory.cache,
        clock=clock,
        wake=memory.workqueue.add,
        spare_for_s=settings.poll_interval.total_seconds(),
        missed=lambda: metrics.error("redis"),
    )


def _poller(settings: Settings, sources: Sources, memory: Memory) -> Poller:
    return Poller(
        cache=sources.cache,
        backends=sources.backends,
        readings=memory.readings,
        reader=sources.reader,
        attachments=sources.attachments,
        clock=sources.clock,
        interval=settings.poll_interval,
        wake=memory.workqueue.add,
    )


def _executor(
    kube: KubeClient, world: ObservedWorld, clock: Clock, memory: Memory, metrics: Metrics
) -> Executor:
    guard = Guard(kube, world)
    publisher = Publisher(kube=kube, world=world, budget=WriteBudget(clock), clock=clock)
    return Executor(
        publisher=publisher,
        scaling=Scaling(kube, world, guard),
        retirement=Retirement(world, guard),
        pruning=Pruning(world, guard, clock, metrics),
        migration=Migration(world, guard, clock),
        world=world,
        wake=memory.workqueue.add,
    )
