"""The Lease: one holder at a time, on the clock when it dies, at once when it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bullmq_operator.kube.client import KubeClient
from bullmq_operator.kube.lease import Lease
from bullmq_operator.kube.session import Session
from devcluster.cluster import Cluster
from tests.integration.kube.conftest import with_token_file

pytestmark = pytest.mark.cluster

NAME = "bullmq-operator"
"""The only name that the Role lets the operator write."""

LONG, SHORT = 60.0, 5.0
"""Durations in seconds: not reached within a test, and soon run out."""


@pytest.fixture
def lease(client: KubeClient, namespace: str) -> Callable[..., Lease]:
    """One replica's side of the Lease."""

    def make(identity: str, duration: float, via: KubeClient = client) -> Lease:
        return Lease(via, namespace, NAME, identity, duration, now=lambda: datetime.now(UTC))

    return make


@pytest.fixture
async def cut_off(kubeconfig: Path, tmp_path: Path) -> AsyncIterator[tuple[KubeClient, Path]]:
    """A client whose right to ask anything goes when its token file is overwritten."""
    own, token = with_token_file(kubeconfig, tmp_path)
    connected = KubeClient(await Session.connect({"KUBECONFIG": str(own)}))
    yield connected, token
    await connected.close()


async def test_the_first_gets_it_and_the_second_waits(lease: Callable[..., Lease]) -> None:
    first, second = lease("a", LONG), lease("b", LONG)
    await first.acquire()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(second.acquire(), 1)
    assert (first.is_held, second.is_held) == (True, False)
    assert (first.other_holder, second.other_holder) == (None, "a")


async def test_a_standby_that_may_not_read_the_lease_says_why(
    client: KubeClient, namespace: str
) -> None:
    elsewhere = Lease(client, namespace, "not-ours", "a", SHORT, now=lambda: datetime.now(UTC))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(elsewhere.acquire(), 1)
    assert 'leases.coordination.k8s.io "not-ours" is forbidden' in (elsewhere.problem or "")


async def test_of_many_at_once_one_gets_it(lease: Callable[..., Lease]) -> None:
    replicas = [lease(f"r{n}", LONG) for n in range(8)]
    tasks = [asyncio.create_task(replica.acquire()) for replica in replicas]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait(tasks, timeout=2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert [replica.is_held for replica in replicas].count(True) == 1


async def test_a_released_lease_is_free_before_it_runs_out(
    lease: Callable[..., Lease], cluster: Cluster, namespace: str
) -> None:
    first, second = lease("a", LONG), lease("b", LONG)
    await first.acquire()
    await first.release()
    await asyncio.wait_for(second.acquire(), 5)
    assert (first.is_held, second.is_held) == (False, True)
    spec = (cluster.kubectl.get("lease", NAME, namespace) or {})["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("b", 2)


async def test_a_lease_whose_holder_died_is_taken_over_when_it_runs_out(
    lease: Callable[..., Lease],
) -> None:
    dead, heir = lease("a", SHORT), lease("b", SHORT)
    await dead.acquire()
    began = asyncio.get_running_loop().time()
    await asyncio.wait_for(heir.acquire(), 3 * SHORT)
    waited = asyncio.get_running_loop().time() - began
    assert waited >= SHORT
    assert not dead.is_held


async def test_a_holder_keeps_it_beyond_its_duration(lease: Callable[..., Lease]) -> None:
    holder, other = lease("a", SHORT), lease("b", SHORT)
    await holder.acquire()
    holding = asyncio.create_task(holder.hold())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(other.acquire(), 2 * SHORT)
    assert holder.is_held
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)


async def test_a_holder_that_is_cut_off_stops_before_anybody_may_take_over(
    lease: Callable[..., Lease], cut_off: tuple[KubeClient, Path]
) -> None:
    client, token = cut_off
    holder, heir = lease("a", SHORT, client), lease("b", SHORT)
    await holder.acquire()
    holding = asyncio.create_task(holder.hold())
    token.write_text("revoked")
    taking = asyncio.create_task(heir.acquire())
    await asyncio.wait_for(holder.lost.wait(), 2 * SHORT)
    assert not holder.is_held
    assert not taking.done()
    await asyncio.wait_for(taking, 3 * SHORT)
    await holding


async def test_a_lease_that_was_taken_away_is_lost_at_once(
    lease: Callable[..., Lease], cluster: Cluster, namespace: str
) -> None:
    holder = lease("a", 15.0)
    await holder.acquire()
    holding = asyncio.create_task(holder.hold())
    thief = '{"spec":{"holderIdentity":"thief"}}'
    cluster.kubectl("patch", "lease", NAME, "--type=merge", "-p", thief, namespace=namespace)
    await asyncio.wait_for(holding, 10)
    assert holder.lost.is_set()
    assert not holder.is_held


async def test_another_writers_edit_does_not_cost_the_lease(
    lease: Callable[..., Lease], cluster: Cluster, namespace: str
) -> None:
    holder = lease("a", SHORT)
    await holder.acquire()
    before = cluster.kubectl.get("lease", NAME, namespace) or {}
    holding = asyncio.create_task(holder.hold())
    cluster.kubectl("label", "lease", NAME, "seen=yes", namespace=namespace)
    renewed = await asyncio.to_thread(
        cluster.wait_until,
        lambda: _renewed(cluster, namespace, before["spec"]["renewTime"]),
        "a renewal",
    )
    assert renewed["metadata"]["labels"] == {"seen": "yes"}
    assert holder.is_held
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)


def _renewed(cluster: Cluster, namespace: str, since: str) -> dict[str, dict[str, str]] | None:
    lease = cluster.kubectl.get("lease", NAME, namespace)
    return lease if lease and lease["spec"]["renewTime"] > since else None
