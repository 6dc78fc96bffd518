"""Writing a status: all of it arrives, and never at the wrong object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bullmq_operator.domain.counts import QueueCounts
from bullmq_operator.domain.observation import QueueVersion
from bullmq_operator.domain.spec import WorkloadRef
from bullmq_operator.domain.status import (
    Condition,
    ConditionStatus,
    ConditionType,
    Phase,
    RetirementStatus,
    Status,
    WorkerStatus,
)
from bullmq_operator.kube.client import KubeClient
from bullmq_operator.kube.codec import parse_version, status_patch
from bullmq_operator.kube.errors import ConflictError, NotFoundError
from devcluster.cluster import Cluster

pytestmark = pytest.mark.cluster

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
FULL = Status(
    observed_generation=1,
    phase=Phase.RETIRING,
    queue_name="orders/v1",
    redis="redis:6379/0",
    queue_first_seen_at=NOON,
    jobs_added=12,
    current_version="2",
    superseded_by="2",
    current_since=NOON,
    drain_started_at=NOON,
    drain_deadline=NOON,
    empty_since=NOON,
    drained_at=NOON,
    workers_gone_at=NOON,
    retired_at=NOON,
    reopenings=2,
    jobs=QueueCounts(1, 2, 3, 4, 5, 6, 7, 8, 9),
    workers_ready="0/0",
    workers=(WorkerStatus(WorkloadRef("orders-v1"), 0, 3),),
    retirement=RetirementStatus(NOON, "5-0", (("concurrency", "3"),), 1, 2, 3),
    conditions=(
        Condition(ConditionType.READY, ConditionStatus.TRUE, "Retiring", "On its way.", NOON, 1),
        Condition(ConditionType.HELD, ConditionStatus.FALSE, "Going", "", NOON, 1),
    ),
)


async def test_every_field_survives_the_servers_schema(
    client: KubeClient, a_version: Callable[..., QueueVersion]
) -> None:
    version = a_version()
    answer = await client.patch_status(version, status_patch(version.status, FULL))
    written = parse_version(answer)
    assert written.status == FULL
    assert written.resource_version != version.resource_version


async def test_a_status_can_be_taken_back_field_by_field(
    client: KubeClient, a_version: Callable[..., QueueVersion]
) -> None:
    version = a_version()
    full = parse_version(await client.patch_status(version, status_patch(version.status, FULL)))
    bare = Status(conditions=FULL.conditions[:1])
    answer = await client.patch_status(full, status_patch(full.status, bare))
    assert parse_version(answer).status == bare
    assert "retirement" not in answer["status"]


async def test_the_spec_is_out_of_reach(
    client: KubeClient, a_version: Callable[..., QueueVersion]
) -> None:
    version = a_version()
    answer = await client.patch_status(version, {"phase": "Current"})
    assert parse_version(answer).generation == version.generation


async def test_what_was_proven_of_a_deleted_version_is_not_written_to_its_namesake(
    client: KubeClient,
    cluster: Cluster,
    namespace: str,
    a_version: Callable[..., QueueVersion],
) -> None:
    first = a_version()
    cluster.kubectl("delete", "queueversion", first.key.name, namespace=namespace)
    second = a_version()
    assert second.uid != first.uid
    with pytest.raises(ConflictError):
        await client.patch_status(first, {"drainedAt": "2026-11-23T12:00:00Z"})
    stored = await client.get_version(second.key)
    assert stored is not None
    assert parse_version(stored) == second


async def test_a_version_that_changed_since_must_be_looked_at_again(
    client: KubeClient, cluster: Cluster, namespace: str, a_version: Callable[..., QueueVersion]
) -> None:
    version = a_version()
    a_version(state="Pinned")
    with pytest.raises(ConflictError):
        await client.patch_status(version, {"phase": "Retiring"})


async def test_a_version_that_is_gone_says_so(
    client: KubeClient, a_version: Callable[..., QueueVersion]
) -> None:
    version = a_version()
    gone = replace(version, key=replace(version.key, name="gone"))
    with pytest.raises(NotFoundError):
        await client.patch_status(gone, {"phase": "Current"})
