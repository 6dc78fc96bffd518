"""Prometheus metrics, in a registry of our own.

Gauges about the fleet are computed when somebody asks, from what is in memory anyway: they can't
go stale and cost nothing in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bullmq_operator.domain.counts import QueueCounts
from bullmq_operator.domain.observation import QueueVersion
from bullmq_operator.domain.status import Phase

_PREFIX = "bullmq_operator"
_PASS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds: a pass is a few calls of milliseconds each; a retirement takes seconds."""


@dataclass(frozen=True, slots=True)
class QueueGauge:
    """The jobs of one version's queue; versions whose counts are unknown have none."""

    namespace: str
    queue: str
    version: str
    counts: QueueCounts


class Sources(Protocol):
    """Where the gauges come from."""

    def workqueue_depth(self) -> int:
        """Families that wait for a reconciler."""

    def phases(self) -> Mapping[Phase, int]:
        """QueueVersions by phase."""

    def queues(self) -> Iterable[QueueGauge]:
        """Every queue whose counts are known."""


class _Gauges(Collector):
    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[GaugeMetricFamily]:
        depth = GaugeMetricFamily(
            f"{_PREFIX}_workqueue_depth", "Families that wait for a reconciler"
        )
        depth.add_metric([], self._sources.workqueue_depth())
        yield depth
        yield self._versions()
        yield self._jobs()

    def _versions(self) -> GaugeMetricFamily:
        versions = GaugeMetricFamily(
            f"{_PREFIX}_versions", "QueueVersions by phase", labels=["phase"]
        )
        counts = self._sources.phases()
        for phase in Phase:
            versions.add_metric([phase.value], counts.get(phase, 0))
        return versions

    def _jobs(self) -> GaugeMetricFamily:
        jobs = GaugeMetricFamily(
            f"{_PREFIX}_queue_jobs",
            "Jobs by state, as last read; absent when they could not be read",
            labels=["namespace", "queue", "version", "state"],
        )
        for gauge in self._sources.queues():
            for state, count in _by_state(gauge.counts):
                jobs.add_metric([gauge.namespace, gauge.queue, gauge.version, state], count)
        return jobs


def _by_state(counts: QueueCounts) -> tuple[tuple[str, int], ...]:
    return (
        ("waiting", counts.waiting),
        ("paused", counts.paused),
        ("active", counts.active),
        ("delayed", counts.delayed),
        ("prioritized", counts.prioritized),
        ("waiting-children", counts.waiting_children),
        ("schedulers", counts.schedulers),
        ("completed", counts.completed),
        ("failed", counts.failed),
    )


class Metrics:
    """All metrics of this process."""

    def __init__(self, version: str, sources: Sources) -> None:
        self._registry = registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        registry.register(_Gauges(sources))
        Info(f"{_PREFIX}_build", "What runs here", registry=registry).info({"version": version})
        self._passes = Counter(
            f"{_PREFIX}_reconciles", "Passes over a family", ["result"], registry=registry
        )
        self._seconds = Histogram(
            f"{_PREFIX}_reconcile_seconds",
            "Time of a pass over a family",
            buckets=_PASS_BUCKETS,
            registry=registry,
        )
        self._errors = Counter(f"{_PREFIX}_errors", "Errors by kind", ["kind"], registry=registry)
        of = ["namespace", "queue", "version", "state"]
        self._pruned_jobs = Counter(
            f"{_PREFIX}_pruned_jobs", "Jobs removed by spec.retention", of, registry=registry
        )
        self._pruned_bytes = Counter(
            f"{_PREFIX}_pruned_bytes",
            "Memory that these jobs took in Redis, as estimated by one of each hundred or so",
            of,
            registry=registry,
        )
        for result in ("success", "error"):
            self._passes.labels(result)  # from 0 on, so that rates see the first error

    def passed(self, seconds: float, *, well: bool) -> None:
        """A pass over a family ended."""
        self._passes.labels("success" if well else "error").inc()
        self._seconds.observe(seconds)

    def pruned(self, version: QueueVersion, state: str, jobs: int, bytes_freed: int) -> None:
        """Finished jobs were removed by `spec.retention`."""
        of = version.key.namespace, version.spec.queue, version.spec.version, state
        self._pruned_jobs.labels(*of).inc(jobs)
        self._pruned_bytes.labels(*of).inc(bytes_freed)

    def error(self, kind: str) -> None:
        """Something failed; `kind` is from a small fixed set."""
        self._errors.labels(kind).inc()

    def text(self) -> bytes:
        """The exposition format of Prometheus."""
        return generate_latest(self._registry)
