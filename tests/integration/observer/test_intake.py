"""Lists and watches tell of the same objects, and the watch may be ahead."""

from __future__ import annotations

from typing import Any

import pytest

from bullmq_operator.clock import Clock
from bullmq_operator.engine.intake import Intake
from bullmq_operator.kube.client import KubeClient
from bullmq_operator.observer.backends import Backends, DefaultRedis
from bullmq_operator.observer.cache import Cache
from bullmq_operator.observer.contests import Contests
from bullmq_operator.observer.outcomes import Outcomes
from bullmq_operator.observer.world import ObservedWorld
from devcluster.cluster import Cluster

pytestmark = pytest.mark.cluster

VERSION = {
    "apiVersion": "bullmq-operator.dev/v1alpha1",
    "kind": "QueueVersion",
    "metadata": {"name": "orders-v1"},
    "spec": {"queue": "orders", "version": "1"},
}


class DeletedMeanwhile:
    """The API server's lists; a watch tells of a deletion before the list is taken in."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self.list_workloads = client.list_workloads
        self.list_autoscalers = client.list_autoscalers
        self.intake: Intake | None = None

    async def list_versions(self, namespace: str | None) -> list[dict[str, Any]]:
        found = await self._client.list_versions(namespace)
        for obj in found:
            assert self.intake is not None
            self.intake.version_event("DELETED", obj)
        return found


async def test_an_object_that_was_deleted_while_a_list_ran_does_not_come_back(
    client: KubeClient, cluster: Cluster, namespace: str
) -> None:
    cluster.kubectl.apply(VERSION, namespace)
    cache = Cache()
    world = ObservedWorld(
        cache=cache,
        backends=Backends(client, DefaultRedis(), Clock()),
        contests=Contests(),
        outcomes=Outcomes(),
        wake=lambda _: None,
    )
    await Intake(world, client, [namespace]).list_all()
    assert [version.key.name for version in cache.versions()] == ["orders-v1"]
    lists = DeletedMeanwhile(client)
    lists.intake = Intake(world, lists, [namespace])
    await lists.intake.list_all()
    assert list(cache.versions()) == []
