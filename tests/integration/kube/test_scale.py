"""Replicas: to zero so that it lasts, back so that it shows, and only on what was looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bullmq_operator.domain.observation import Workload
from bullmq_operator.kube.client import KubeClient
from bullmq_operator.kube.codec import parse_workload
from bullmq_operator.kube.errors import ConflictError, KubeError, NotFoundError
from devcluster.cluster import Cluster
from devcluster.kubectl import KubectlError
from tests.integration.kube.conftest import apply_workload, found

pytestmark = pytest.mark.cluster


def settled(cluster: Cluster, workload: Workload) -> Workload:
    """The workload once its controller has made its Pods: each of them moves resourceVersion."""
    key = workload.key

    def look() -> Workload | None:
        obj = found(cluster, key.kind, key.name, key.namespace)
        now = parse_workload(obj)
        done = obj.get("status", {}).get("replicas", 0) == now.replicas
        return now if now.observed and done else None

    return cluster.wait_until(look, f"{key} to settle")


@pytest.fixture
def workload(cluster: Cluster, a_deployment: Callable[..., Workload]) -> Workload:
    """A Deployment with three replicas, set by a GitOps tool."""
    return settled(cluster, a_deployment())


async def test_zero_is_ours_and_a_plain_sync_is_told_so(
    client: KubeClient, cluster: Cluster, workload: Workload
) -> None:
    down = await client.scale(workload, 0)
    assert (down.replicas, down.replicas_manager, down.observed) == (0, "bullmq-operator", False)
    stored = settled(cluster, workload)
    assert (stored.replicas, stored.replicas_manager) == (0, "bullmq-operator")
    with pytest.raises(KubectlError, match=r'conflict with "bullmq-operator".*\.spec\.replicas'):
        apply_workload(cluster, workload.key, replicas=3)


async def test_scaling_to_zero_again_writes_nothing(
    client: KubeClient, cluster: Cluster, workload: Workload
) -> None:
    await client.scale(workload, 0)
    down = settled(cluster, workload)
    assert await client.scale(down, 0) == down


async def test_restored_replicas_are_ours_too(
    client: KubeClient, cluster: Cluster, workload: Workload
) -> None:
    await client.scale(workload, 0)
    back = await client.scale(settled(cluster, workload), 3)
    assert back.replicas == 3
    stored = settled(cluster, workload)
    assert (stored.replicas, stored.replicas_manager) == (3, "bullmq-operator")


async def test_a_restored_workload_can_go_to_zero_once_more(
    client: KubeClient, cluster: Cluster, workload: Workload
) -> None:
    for replicas in (0, 3, 0):
        await client.scale(settled(cluster, workload), replicas)
    stored = settled(cluster, workload)
    assert (stored.replicas, stored.replicas_manager) == (0, "bullmq-operator")


async def test_who_forces_the_replicas_back_is_named(
    client: KubeClient, cluster: Cluster, workload: Workload
) -> None:
    await client.scale(workload, 0)
    apply_workload(cluster, workload.key, "--force-conflicts", replicas=3)
    assert settled(cluster, workload).replicas_manager == "gitops"


@pytest.mark.parametrize("replicas", [0, 2])
async def test_a_workload_that_changed_since_is_left_alone(
    client: KubeClient, cluster: Cluster, workload: Workload, replicas: int
) -> None:
    key = workload.key
    cluster.kubectl("scale", "deployment", key.name, "--replicas=5", namespace=key.namespace)
    with pytest.raises(ConflictError):
        await client.scale(workload, replicas)
    assert settled(cluster, workload).replicas == 5


@pytest.mark.parametrize("replicas", [0, 2])
async def test_a_namesake_of_the_workload_is_left_alone(
    client: KubeClient, cluster: Cluster, workload: Workload, replicas: int
) -> None:
    """The uid alone decides, even if the resourceVersion were right."""
    impostor = replace(settled(cluster, workload), uid="00000000-0000-0000-0000-000000000000")
    with pytest.raises(ConflictError, match="UID"):
        await client.scale(impostor, replicas)
    assert settled(cluster, workload).replicas == 3


async def test_a_stateful_set_scales_too(
    client: KubeClient, cluster: Cluster, workload: Workload
) -> None:
    key = replace(workload.key, kind="StatefulSet")
    apply_workload(cluster, key, replicas=1)
    stateful = parse_workload(found(cluster, key.kind, key.name, key.namespace))
    await client.scale(settled(cluster, stateful), 0)
    assert settled(cluster, stateful).replicas == 0
    assert settled(cluster, workload).replicas == 3


async def test_a_workload_that_is_gone_says_so(client: KubeClient, workload: Workload) -> None:
    gone = replace(workload, key=replace(workload.key, name="gone"))
    with pytest.raises(NotFoundError):
        await client.scale(gone, 0)


async def test_an_unknown_kind_is_refused_before_anything_is_asked(
    client: KubeClient, workload: Workload
) -> None:
    daemon_set = replace(workload, key=replace(workload.key, kind="DaemonSet"))
    with pytest.raises(KubeError, match="DaemonSet"):
        await client.scale(daemon_set, 0)
