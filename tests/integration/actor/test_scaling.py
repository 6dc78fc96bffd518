"""Workloads down and up, only as they were looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from bullmq_operator.actor.execute import SOON_S
from bullmq_operator.domain.observation import QueueVersion, Workload
from bullmq_operator.domain.plan import Plan, RestoreReplicas, ScaleToZero
from bullmq_operator.domain.status import Phase, Status
from bullmq_operator.kube.codec import parse_workload
from devcluster.cluster import Cluster
from tests.integration.actor.support import Hands
from tests.integration.kube.conftest import apply_workload, found
from tests.integration.kube.test_scale import settled

pytestmark = pytest.mark.cluster


def replicas(cluster: Cluster, workload: Workload) -> int:
    obj = found(cluster, workload.key.kind, workload.key.name, workload.key.namespace)
    count: int = obj["spec"]["replicas"]
    return count


async def test_down_and_up_again_is_known_at_once(
    hands: Hands,
    cluster: Cluster,
    a_version: Callable[..., QueueVersion],
    a_deployment: Callable[..., Workload],
) -> None:
    version = a_version(workers=[{"name": "orders-v1"}])
    workload = settled(cluster, a_deployment())
    observation = await hands.observed(version)
    await hands.execute(Plan(actions=(ScaleToZero(version.key, workload),)), observation)
    down = hands.cache.workload(workload.key)
    assert down is not None
    assert (down.replicas, replicas(cluster, workload)) == (0, 0)
    assert version.family in hands.woken
    up = RestoreReplicas(version.key, settled(cluster, workload), 3)
    await hands.execute(Plan(actions=(up,)), observation)
    assert replicas(cluster, workload) == 3


async def test_a_workload_that_changed_is_left_alone_and_looked_at_again(
    hands: Hands,
    cluster: Cluster,
    a_version: Callable[..., QueueVersion],
    a_deployment: Callable[..., Workload],
) -> None:
    version, workload = a_version(), settled(cluster, a_deployment())
    apply_workload(cluster, workload.key, replicas=5)
    plan = Plan(actions=(ScaleToZero(version.key, workload),))
    assert await hands.execute(plan, await hands.observed(version)) == SOON_S
    assert replicas(cluster, workload) == 5
    now = hands.cache.workload(workload.key)
    assert now is not None
    assert now.replicas == 5


async def test_a_shared_workload_stays_until_all_who_share_it_have_noted_its_replicas(
    hands: Hands,
    cluster: Cluster,
    a_version: Callable[..., QueueVersion],
    a_deployment: Callable[..., Workload],
) -> None:
    workload = settled(cluster, a_deployment())
    workers = [{"name": workload.key.name}]
    one, other = a_version(workers=workers), a_version("orders-v2", version="2", workers=workers)
    edit = ("annotate", "queueversion", other.key.name, "a=b")
    cluster.kubectl(*edit, namespace=other.key.namespace)
    noted = Status(observed_generation=1, phase=Phase.RETIRING)
    plan = Plan(
        statuses=((one.key, noted), (other.key, noted)),
        actions=(ScaleToZero(one.key, workload),),
    )
    assert await hands.execute(plan, await hands.observed(one, other)) == SOON_S
    assert replicas(cluster, workload) == 3


async def test_a_workload_that_went_is_forgotten(
    hands: Hands,
    cluster: Cluster,
    a_version: Callable[..., QueueVersion],
    a_deployment: Callable[..., Workload],
) -> None:
    version, workload = a_version(), settled(cluster, a_deployment())
    hands.cache.upsert_workload(workload)
    observation = await hands.observed(version)
    cluster.kubectl("delete", "deployment", workload.key.name, namespace=workload.key.namespace)
    plan = Plan(actions=(ScaleToZero(version.key, workload),))
    assert await hands.execute(plan, observation) == SOON_S
    assert hands.cache.workload(workload.key) is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"generation": 2}, id="was edited"),
        pytest.param({"uid": "another"}, id="was made anew"),
        pytest.param({"deleting": True}, id="is being deleted"),
    ],
)
async def test_nothing_is_scaled_for_a_version_that(
    hands: Hands,
    cluster: Cluster,
    a_version: Callable[..., QueueVersion],
    a_deployment: Callable[..., Workload],
    change: dict[str, object],
) -> None:
    version, workload = a_version(), settled(cluster, a_deployment())
    observation = await hands.observed(version)
    hands.cache.upsert_version(replace(version, resource_version="next", **change))  # type: ignore[arg-type]
    plan = Plan(actions=(ScaleToZero(version.key, workload),))
    assert await hands.execute(plan, observation) == SOON_S
    assert replicas(cluster, workload) == 3


async def test_a_tool_that_keeps_setting_replicas_back_is_named(
    hands: Hands,
    cluster: Cluster,
    a_version: Callable[..., QueueVersion],
    a_deployment: Callable[..., Workload],
) -> None:
    version, workload = a_version(), settled(cluster, a_deployment())
    observation = await hands.observed(version)
    for _ in range(3):
        assert hands.contests.contested_by(workload.key, hands.clock.monotonic()) is None
        plan = Plan(actions=(ScaleToZero(version.key, workload),))
        await hands.execute(plan, observation)
        assert replicas(cluster, workload) == 0
        await asyncio.to_thread(
            apply_workload, cluster, workload.key, "--force-conflicts", replicas=3
        )
        key = workload.key
        settled(cluster, workload)
        workload = parse_workload(found(cluster, key.kind, key.name, key.namespace))
        hands.contests.seen(workload, hands.clock.monotonic())
    assert hands.contests.contested_by(workload.key, hands.clock.monotonic()) == "gitops"
