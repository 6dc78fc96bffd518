"""The whole operator, killed before every single call of a story, to Kubernetes or to Redis.

Killed after a call is the same as before the next one: nothing of a process outlives it. A call
whose answer is lost, in a process that lives on, is walked through as well.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bullmq_operator.domain.names import VersionKey
from bullmq_operator.domain.observation import Workload
from bullmq_operator.kube.client import QUEUE_VERSIONS, KubeClient
from bullmq_operator.kube.session import MERGE_PATCH, Json, Session
from devcluster.cluster import Cluster
from tests.chaos.operator_life import Fate, World, live
from tests.chaos.stage import BASE, SETTINGS, Stage
from tests.chaos.wire import Wire
from tests.integration.kube.conftest import a_deployment, kubeconfig

__all__ = ["a_deployment", "kubeconfig"]

pytestmark = [pytest.mark.cluster, pytest.mark.redis, pytest.mark.timeout(600)]

NAME = "orders-v1"
SPEC = {
    "queue": "orders",
    "version": "1",
    "workers": [{"name": NAME}],
    "activation": {"policy": "Immediate"},
    "drain": {"quietPeriod": "1s"},
    "retire": {"delay": "0s", "failedJobs": "Discard"},
}


class Shop(World):
    """A version with one worker, and its queue, drained."""

    async def set(self, stage: Stage, *, state: str) -> None:
        """As before the story; everything is made anew."""
        stage.set()
        group, plural = QUEUE_VERSIONS
        path = f"{group}/namespaces/{self.namespace}/{plural}"
        if await self.admin.get_version(VersionKey(self.namespace, NAME)):
            await self.admin.session.request("DELETE", f"{path}/{NAME}")
        spec = SPEC | {"state": state, "redis": {"url": self.wire.url}}
        body = {
            "apiVersion": f"{group.removeprefix('/apis/')}",
            "kind": "QueueVersion",
            "metadata": {"name": NAME},
            "spec": spec,
        }
        await self.admin.session.request("POST", path, body=body)
        await self._merge(
            f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{NAME}", replicas=1
        )

    async def turn(self, state: str) -> None:
        """`kubectl patch` of spec.state."""
        group, plural = QUEUE_VERSIONS
        await self._merge(f"{group}/namespaces/{self.namespace}/{plural}/{NAME}", state=state)

    async def _merge(self, path: str, **spec: object) -> None:
        await self.admin.session.request(
            "PATCH", path, body={"spec": spec}, content_type=MERGE_PATCH
        )


@pytest.fixture
async def shop(
    cluster: Cluster,
    namespace: str,
    kubeconfig: Path,
    a_deployment: Callable[..., Workload],
    wire: Wire,
) -> AsyncIterator[Shop]:
    """Ready for any number of stories."""
    a_deployment(NAME, 1)
    admin = KubeClient(await Session.connect({"KUBECONFIG": str(cluster.kubeconfig)}))
    yield Shop(namespace, kubeconfig, admin, wire)
    await admin.close()


def retired(version: Json, deployment: Json) -> bool:
    """The end of a retirement."""
    return bool(version["status"].get("phase") == "Retired" and not deployment["spec"]["replicas"])


def serves_again(stage: Stage) -> Callable[[Json, Json], bool]:
    """The end of a rollback: workers and settings are back."""

    def check(version: Json, deployment: Json) -> bool:
        return (
            version["status"].get("phase") == "Current"
            and deployment["spec"]["replicas"] == 1
            and stage.raw.hmget(f"{BASE}meta", list(SETTINGS)) == list(SETTINGS.values())
        )

    return check


async def check_end(stage: Stage, shop: Shop) -> None:
    """What must be true of a retired version, whatever happened on the way."""
    assert stage.keys() == set()
    stage.check()
    version = await shop.admin.get_version(VersionKey(shop.namespace, NAME))
    assert version is not None
    [worker] = version["status"]["workers"]
    assert (worker["replicas"], worker["restoreReplicas"]) == (0, 1)


async def test_killed_before_any_call_it_goes_on_to_the_end(
    stage: Stage, shop: Shop, ran: Callable[[int], None]
) -> None:
    for number in itertools.count(1):
        await shop.set(stage, state="Retired")
        fate = Fate(killed_before=number)
        was_killed = not await live(shop, retired, fate)
        assert await live(shop, retired), f"killed before {fate.calls[-1]}"
        await check_end(stage, shop)
        if not was_killed:
            break
    ran(number)


async def test_killed_before_any_call_and_rolled_back_while_dead_it_serves_again(
    stage: Stage, shop: Shop, ran: Callable[[int], None]
) -> None:
    for number in itertools.count(1):
        await shop.set(stage, state="Retired")
        fate = Fate(killed_before=number)
        was_killed = not await live(shop, retired, fate)
        await shop.turn("Auto")
        stage.add()
        assert await live(shop, serves_again(stage)), f"killed before {fate.calls[-1]}"
        stage.work_off()
        stage.check()
        if not was_killed:
            break
    ran(number)


async def test_killed_before_any_call_of_a_rollback_it_serves_again(
    stage: Stage, shop: Shop, ran: Callable[[int], None]
) -> None:
    for number in itertools.count(1):
        await shop.set(stage, state="Retired")
        await live(shop, retired)
        await shop.turn("Auto")
        fate = Fate(killed_before=number)
        was_killed = not await live(shop, serves_again(stage), fate)
        assert await live(shop, serves_again(stage)), f"killed before {fate.calls[-1]}"
        stage.check()
        if not was_killed:
            break
    ran(number)


async def test_the_answer_of_any_call_is_lost_and_it_goes_on_to_the_end(
    stage: Stage, shop: Shop, ran: Callable[[int], None]
) -> None:
    for number in itertools.count(1):
        await shop.set(stage, state="Retired")
        fate = Fate(loses_answer_of=number)
        assert await live(shop, retired, fate), f"lost the answer of {fate.calls[number - 1]}"
        await check_end(stage, shop)
        if len(fate.calls) < number:
            break
    ran(number)
