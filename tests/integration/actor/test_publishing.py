"""Statuses and Events: what changed is written at once, numbers now and then, nothing else ever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bullmq_operator.actor.coarse import WHILE_DRAINING_S
from bullmq_operator.actor.execute import SOON_S, SUSPENDED_S
from bullmq_operator.domain.counts import QueueCounts
from bullmq_operator.domain.observation import QueueVersion, Workload
from bullmq_operator.domain.plan import Event, Plan, ScaleToZero
from bullmq_operator.domain.status import Phase, Status
from devcluster.cluster import Cluster
from tests.integration.actor.support import Hands
from tests.integration.kube.conftest import found

pytestmark = pytest.mark.cluster

DRAINING = Status(observed_generation=1, phase=Phase.DRAINING, jobs=QueueCounts(waiting=5))


def stored(cluster: Cluster, version: QueueVersion) -> dict[str, str]:
    obj = found(cluster, "queueversion", version.key.name, version.key.namespace)
    return {"phase": obj["status"]["phase"], "rv": obj["metadata"]["resourceVersion"]}


async def write(hands: Hands, version: QueueVersion, status: Status) -> float | None:
    plan = Plan(statuses=((version.key, status),))
    return await hands.execute(plan, await hands.observed(version))


def known(hands: Hands, version: QueueVersion) -> QueueVersion:
    now = hands.cache.version(version.key)
    assert now is not None
    return now


async def test_a_status_is_written_once_and_known_at_once(
    hands: Hands, cluster: Cluster, a_version: Callable[..., QueueVersion]
) -> None:
    version = a_version()
    await write(hands, version, DRAINING)
    now = known(hands, version)
    assert (now.status, hands.woken) == (DRAINING, [version.family])
    assert await write(hands, now, DRAINING) is None
    assert stored(cluster, version) == {"phase": "Draining", "rv": now.resource_version}


async def test_numbers_alone_wait_and_say_for_how_long(
    hands: Hands, cluster: Cluster, a_version: Callable[..., QueueVersion]
) -> None:
    version = a_version()
    await write(hands, version, DRAINING)
    now = known(hands, version)
    fewer = replace(DRAINING, jobs=QueueCounts(waiting=4))
    put_off = await write(hands, now, fewer)
    assert put_off is not None
    assert 0 < put_off <= WHILE_DRAINING_S
    assert stored(cluster, version)["rv"] == now.resource_version
    assert await write(hands, now, replace(fewer, phase=Phase.RETIRING)) is None
    assert stored(cluster, version)["phase"] == "Retiring"


async def test_what_could_not_be_put_on_record_is_not_done_or_said(
    hands: Hands,
    cluster: Cluster,
    a_version: Callable[..., QueueVersion],
    a_deployment: Callable[..., Workload],
) -> None:
    version, workload = a_version(), a_deployment()
    cluster.kubectl(
        "annotate", "queueversion", version.key.name, "a=b", namespace=version.key.namespace
    )
    plan = Plan(
        statuses=((version.key, DRAINING),),
        actions=(ScaleToZero(version.key, workload),),
        events=(Event(version.key, "DrainStarted", "It drains."),),
    )
    assert await hands.execute(plan, await hands.observed(version)) == SOON_S
    obj = found(cluster, "deployment", workload.key.name, workload.key.namespace)
    assert obj["spec"]["replicas"] == 3
    events = cluster.kubectl.list("events", version.key.namespace)
    assert "DrainStarted" not in {event["reason"] for event in events}


async def test_after_a_conflict_the_next_pass_has_the_object_as_it_is_without_any_watch(
    hands: Hands, cluster: Cluster, a_version: Callable[..., QueueVersion]
) -> None:
    version = a_version()
    edit = ("patch", "queueversion", version.key.name, "--type=merge", "-p")
    cluster.kubectl(*edit, '{"spec":{"suspend":true}}', namespace=version.key.namespace)
    await write(hands, version, DRAINING)
    now = known(hands, version)
    assert (now.spec.suspend, now.status.phase) == (True, Phase.PENDING)
    assert hands.woken == [version.family]
    await write(hands, now, DRAINING)
    assert stored(cluster, version)["phase"] == "Draining"


async def test_after_a_conflict_with_a_namesake_the_old_object_is_forgotten(
    hands: Hands, cluster: Cluster, a_version: Callable[..., QueueVersion]
) -> None:
    version = a_version()
    cluster.kubectl("delete", "queueversion", version.key.name, namespace=version.key.namespace)
    namesake = a_version()
    await write(hands, version, DRAINING)
    assert known(hands, version) == namesake


async def test_a_version_that_went_does_not_hold_up_its_sibling(
    hands: Hands, cluster: Cluster, a_version: Callable[..., QueueVersion]
) -> None:
    gone, stays = a_version("orders-v1"), a_version("orders-v2", version="2")
    cluster.kubectl("delete", "queueversion", gone.key.name, namespace=gone.key.namespace)
    plan = Plan(
        statuses=((gone.key, DRAINING), (stays.key, DRAINING)),
        events=(Event(stays.key, "DrainStarted", "It drains."),),
    )
    await hands.execute(plan, await hands.observed(gone, stays))
    assert hands.cache.version(gone.key) is None
    assert stored(cluster, stays)["phase"] == "Draining"
    events = cluster.kubectl.list("events", stays.key.namespace)
    assert "DrainStarted" in {event["reason"] for event in events}


async def test_a_frozen_namespace_is_looked_at_again_until_it_thaws(
    hands: Hands, a_version: Callable[..., QueueVersion]
) -> None:
    frozen = replace(await hands.observed(a_version()), suspended=True)
    assert await hands.execute(Plan(), frozen) == SUSPENDED_S
