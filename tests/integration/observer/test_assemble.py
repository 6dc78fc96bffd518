"""One Observation: what is in it, and what is said when a part can't be known."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bullmq_operator.domain.counts import (
    ClientsUnknown,
    Inventory,
    QueueDetail,
    QueueReading,
    RetirementOutcome,
    Unknown,
    UnknownReason,
)
from bullmq_operator.domain.observation import Observation, QueueVersion, VersionView, Workload
from bullmq_operator.domain.status import Phase, RetirementStatus, Status
from bullmq_operator.kube.client import KubeClient
from bullmq_operator.observer.assemble import Assembler, Sources
from bullmq_operator.observer.attachments import Attachments
from bullmq_operator.observer.contests import Contests
from bullmq_operator.observer.outcomes import Outcomes
from bullmq_operator.observer.suspension import Suspension
from devcluster import bullmq
from devcluster.cluster import Cluster
from devcluster.redis_server import RedisServer
from tests.integration.observer.support import Eyes

pytestmark = [pytest.mark.cluster, pytest.mark.redis]

SOME_TIME = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
WORKERS = [{"name": "orders-v1"}]


class Observer:
    """The whole observer."""

    def __init__(self, eyes: Eyes, client: KubeClient) -> None:
        self.eyes, self.outcomes = eyes, Outcomes()
        self._assembler = Assembler(
            Sources(
                cache=eyes.cache,
                reader=eyes.reader,
                backends=eyes.backends,
                attachments=Attachments(eyes.clock),
                contests=Contests(),
                outcomes=self.outcomes,
                suspension=Suspension(client, eyes.cache, eyes.clock),
                kube=client,
                clock=eyes.clock,
            )
        )

    def know(self, version: QueueVersion, phase: Phase = Phase.DRAINING) -> QueueVersion:
        """Put it into the cache, as if it were in this phase."""
        known = replace(version, status=Status(phase=phase))
        self.eyes.cache.upsert_version(known)
        return known

    async def observe(self, version: QueueVersion) -> Observation:
        """Its family."""
        return await self._assembler.observe(version.family)

    async def walk(self, observation: Observation, version: QueueVersion) -> VersionView:
        """The version's view after a walk over its keys."""
        walked = await self._assembler.with_inventories(observation, (version.key,))
        return view_of(walked, version)

    async def see(self, version: QueueVersion, *, walk: bool = False) -> VersionView:
        """The version's view in its family's observation."""
        observation = await self.observe(version)
        return await self.walk(observation, version) if walk else view_of(observation, version)


def view_of(observation: Observation, version: QueueVersion) -> VersionView:
    return next(v for v in observation.versions if v.version.key == version.key)


@pytest.fixture
def observer(eyes: Eyes, client: KubeClient) -> Observer:
    return Observer(eyes, client)


async def test_a_redis_that_is_away_leaves_nothing_that_looks_like_zero(
    observer: Observer, redis_server: RedisServer, a_version: Callable[..., QueueVersion]
) -> None:
    version = observer.know(a_version(redis={"url": redis_server.url}))
    redis_server.kill()
    view = await observer.see(version, walk=True)
    assert isinstance(view.reading, Unknown)
    assert view.reading.reason is UnknownReason.UNREACHABLE
    assert isinstance(view.clients, ClientsUnknown)
    assert isinstance(view.inventory, Unknown)
    assert (view.redis, view.detail, view.idle_for) == (None, None, None)


async def test_a_serving_version_is_seen_with_its_detail_for_it_may_drain_from_now_on(
    observer: Observer, redis_url: str, a_version: Callable[..., QueueVersion]
) -> None:
    """Its deadline is set in the pass that supersedes it, and late jobs are warned of then."""
    version = observer.know(a_version(redis={"url": redis_url}), Phase.CURRENT)
    bullmq.run(redis_url, version.queue.name, ["add", "job", {}, {"delay": 3_600_000}])
    view = await observer.see(version)
    assert isinstance(view.detail, QueueDetail)
    assert view.detail.last_delayed is not None


async def test_a_draining_version_is_seen_with_its_detail_pods_and_workers(
    observer: Observer,
    cluster: Cluster,
    redis_server: RedisServer,
    a_version: Callable[..., QueueVersion],
    a_deployment: Callable[..., Workload],
) -> None:
    delayed = bullmq.jobs(1, opts={"delay": 3_600_000})
    bullmq.run(redis_server.url, "orders/v1", ["addBulk", delayed])
    workload = a_deployment()
    listed = ("get", "pods", "-l", "app=orders-v1", "-o", "name")
    namespace = workload.key.namespace
    cluster.wait_until(
        lambda: len(cluster.kubectl(*listed, namespace=namespace).split()) == 3, "three Pods"
    )
    observer.eyes.cache.upsert_workload(workload)
    version = observer.know(a_version(redis={"url": redis_server.url}, workers=WORKERS))
    name = base64.b64encode(b"orders/v1").decode()
    with redis_server.client() as worker:
        worker.client_setname(f"bull:{name}")  # as BullMQ names a worker's blocking connection
        view = await observer.see(version)
    assert isinstance(view.reading, QueueReading)
    assert view.reading.counts.delayed == 1
    assert isinstance(view.detail, QueueDetail)
    assert view.detail.next_delayed is not None
    assert [client.name for client in view.clients] == [f"bull:{name}"]  # type: ignore[union-attr]
    (entry,) = view.workloads
    assert entry.workload == workload
    assert entry.pods is not None
    assert (entry.pods.total, entry.pods.ready) == (3, 0)
    assert view.inventory is None


async def test_a_workload_that_does_not_exist_is_none_and_has_no_pods(
    observer: Observer, redis_server: RedisServer, a_version: Callable[..., QueueVersion]
) -> None:
    version = observer.know(a_version(redis={"url": redis_server.url}, workers=WORKERS))
    (entry,) = (await observer.see(version)).workloads
    assert (entry.workload, entry.pods) == (None, None)


async def test_keys_are_walked_when_they_are_asked_for(
    observer: Observer, redis_server: RedisServer, a_version: Callable[..., QueueVersion]
) -> None:
    bullmq.run(redis_server.url, "orders/v1", ["addBulk", bullmq.jobs(2)], ["process", 2])
    version = observer.know(a_version(redis={"url": redis_server.url}))
    view = await observer.see(version, walk=True)
    assert isinstance(view.inventory, Inventory)
    assert view.inventory.finished_jobs == 2


async def test_what_happens_until_the_walk_is_over_shows_and_the_rest_is_not_asked_again(
    observer: Observer, redis_server: RedisServer, a_version: Callable[..., QueueVersion]
) -> None:
    version = observer.know(a_version(redis={"url": redis_server.url}, workers=WORKERS))
    observation = await observer.observe(version)
    bullmq.run(redis_server.url, "orders/v1", ["addBulk", bullmq.jobs(1)])
    before, after = view_of(observation, version), await observer.walk(observation, version)
    assert isinstance(after.reading, QueueReading)
    assert after.reading.counts.waiting == 1
    assert after.workloads is before.workloads


@pytest.mark.parametrize(
    ("retirement", "seen"),
    [
        pytest.param(RetirementStatus(), None, id="not of a queue that serves"),
        pytest.param(
            RetirementStatus(queue_settings=(("max", "10"),)),
            (("concurrency", "1"),),
            id="while some are to be given back",
        ),
        pytest.param(
            RetirementStatus(started_at=SOME_TIME),
            (("concurrency", "1"),),
            id="where keys without jobs are left after a deletion",
        ),
    ],
)
async def test_a_queues_own_settings_are_looked_at(
    observer: Observer,
    redis_server: RedisServer,
    a_version: Callable[..., QueueVersion],
    retirement: RetirementStatus,
    seen: tuple[tuple[str, str], ...] | None,
) -> None:
    bullmq.run(redis_server.url, "orders/v1", ["setGlobalConcurrency", 1])
    version = a_version(redis={"url": redis_server.url})
    version = replace(version, status=Status(retirement=retirement))
    observer.eyes.cache.upsert_version(version)
    assert (await observer.see(version)).settings == seen


async def test_what_was_deleted_is_in_every_view_until_it_is_recorded(
    observer: Observer, redis_server: RedisServer, a_version: Callable[..., QueueVersion]
) -> None:
    version = observer.know(a_version(redis={"url": redis_server.url}), Phase.RETIRING)
    outcome = RetirementOutcome(obliterated_jobs=7, closed=True)
    observer.outcomes.put(version.key, outcome)
    assert (await observer.see(version)).outcome == outcome
    assert (await observer.see(version)).outcome == outcome
    observer.outcomes.recorded(version.key, outcome)
    assert (await observer.see(version)).outcome is None
