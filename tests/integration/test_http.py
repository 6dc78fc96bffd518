"""What probes and scrapers get, over a real socket."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from socket import create_server

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bullmq_operator.domain.counts import QueueCounts
from bullmq_operator.domain.status import Phase
from bullmq_operator.http.metrics import Metrics, QueueGauge
from bullmq_operator.http.server import AddressInUseError, Probes, serving

LOCAL = "127.0.0.1"


@dataclass
class Fleet:
    """What is in memory."""

    depth: int = 0
    by_phase: Counter[Phase] = field(default_factory=Counter)
    gauges: list[QueueGauge] = field(default_factory=list)

    def workqueue_depth(self) -> int:
        return self.depth

    def phases(self) -> Mapping[Phase, int]:
        return self.by_phase

    def queues(self) -> Iterable[QueueGauge]:
        return self.gauges


def never_asked() -> str | None:
    raise AssertionError("nobody asked for this probe")


YES = Probes(alive=lambda: None, ready=lambda: None)


async def get(path: str, probes: Probes = YES, metrics: Metrics | None = None) -> tuple[int, str]:
    """One request to a server of its own."""
    metrics = metrics or Metrics("1.2.3", Fleet())
    async with (
        serving(LOCAL, 0, probes, metrics) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://{LOCAL}:{port}{path}") as response,
    ):
        return response.status, await response.text()


def samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_probe_without_a_problem_is_ok(path: str) -> None:
    assert await get(path) == (200, "ok\n")


async def test_an_unready_process_says_why_and_is_alive_all_the_same() -> None:
    probes = Probes(alive=lambda: None, ready=lambda: "not everything is listed yet")
    assert await get("/readyz", probes) == (503, "not everything is listed yet\n")
    assert await get("/healthz", probes) == (200, "ok\n")


async def test_a_process_that_hangs_says_where() -> None:
    probes = Probes(alive=lambda: "the poll hangs", ready=never_asked)
    assert await get("/healthz", probes) == (503, "the poll hangs\n")


async def test_an_unknown_path_is_not_found() -> None:
    status, _ = await get("/")
    assert status == 404


async def test_metrics_name_the_build_and_the_process() -> None:
    _, text = await get("/metrics")
    found = list(samples(text))
    assert ("bullmq_operator_build_info", {"version": "1.2.3"}, 1.0) in found
    assert {name for name, _, _ in found} >= {"process_resident_memory_bytes", "python_info"}


async def test_passes_and_errors_are_counted() -> None:
    metrics = Metrics("1", Fleet())
    metrics.passed(0.02, well=True)
    metrics.passed(0.02, well=True)
    metrics.passed(4.0, well=False)
    metrics.error("redis")
    _, text = await get("/metrics", metrics=metrics)
    found = list(samples(text))
    assert ("bullmq_operator_reconciles_total", {"result": "success"}, 2.0) in found
    assert ("bullmq_operator_reconciles_total", {"result": "error"}, 1.0) in found
    assert ("bullmq_operator_reconcile_seconds_count", {}, 3.0) in found
    assert ("bullmq_operator_reconcile_seconds_bucket", {"le": "0.025"}, 2.0) in found
    assert ("bullmq_operator_errors_total", {"kind": "redis"}, 1.0) in found


async def test_every_phase_has_a_gauge_also_at_zero() -> None:
    fleet = Fleet(depth=7, by_phase=Counter({Phase.HELD: 2}))
    _, text = await get("/metrics", metrics=Metrics("1", fleet))
    found = list(samples(text))
    phases = {labels["phase"]: value for name, labels, value in found if name.endswith("_versions")}
    assert phases == {phase.value: 0.0 for phase in Phase} | {"Held": 2.0}
    assert ("bullmq_operator_workqueue_depth", {}, 7.0) in found


async def test_jobs_are_told_by_family_version_and_state() -> None:
    counts = QueueCounts(delayed=3, waiting_children=1)
    fleet = Fleet(gauges=[QueueGauge("shop", "orders", "1", counts)])
    _, text = await get("/metrics", metrics=Metrics("1", fleet))
    jobs = {
        labels["state"]: value
        for name, labels, value in samples(text)
        if name == "bullmq_operator_queue_jobs"
        and (labels["namespace"], labels["queue"], labels["version"]) == ("shop", "orders", "1")
    }
    assert jobs["delayed"] == 3
    assert jobs["waiting-children"] == 1
    assert sum(jobs.values()) == 4


async def test_a_queue_that_could_not_be_read_has_no_jobs_gauge() -> None:
    _, text = await get("/metrics")
    assert [name for name, _, _ in samples(text) if name == "bullmq_operator_queue_jobs"] == []


async def test_a_port_that_is_taken_is_one_sentence() -> None:
    with closing(create_server((LOCAL, 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressInUseError, match=f"can't listen on {LOCAL}:{port}: "):
            async with serving(LOCAL, port, YES, Metrics("1", Fleet())):
                pass
