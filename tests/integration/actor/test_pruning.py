"""Finished jobs of a queue that lives, by a version of a real cluster."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bullmq_operator.domain.observation import QueueVersion
from bullmq_operator.domain.plan import Plan, PruneFinished
from bullmq_operator.domain.spec import Keep, Retention
from devcluster import bullmq
from devcluster.cluster import Cluster
from devcluster.redis_server import RedisServer
from tests.integration.actor.support import Hands

pytestmark = [pytest.mark.cluster, pytest.mark.redis]

RETENTION = Retention(completed=Keep(count=1))


@pytest.fixture
def busy(redis_server: RedisServer, a_version: Callable[..., QueueVersion]) -> QueueVersion:
    """`orders/v1`, with three completed jobs."""
    steps: list[list[object]] = [["addBulk", bullmq.jobs(3)], ["process", 3]]
    bullmq.run(redis_server.url, "orders/v1", *steps)
    return a_version(redis={"url": redis_server.url})


def completed(server: RedisServer) -> int:
    with server.client() as client:
        return int(client.zcard("bull:orders/v1:completed"))


async def test_what_is_due_is_removed_counted_and_not_looked_for_again_at_once(
    hands: Hands, redis_server: RedisServer, busy: QueueVersion
) -> None:
    action = PruneFinished(busy.key, busy.queue, RETENTION)
    await hands.execute(Plan(actions=(action,)), await hands.observed(busy))
    assert completed(redis_server) == 1
    assert hands.tally == [("completed", 2)]
    assert hands.outcomes.pruned_at(busy.key) is not None


async def test_nothing_is_removed_once_the_object_is_gone(
    hands: Hands, cluster: Cluster, redis_server: RedisServer, busy: QueueVersion
) -> None:
    observation = await hands.observed(busy)
    cluster.kubectl("delete", "queueversion", busy.key.name, namespace=busy.key.namespace)
    action = PruneFinished(busy.key, busy.queue, RETENTION)
    await hands.execute(Plan(actions=(action,)), observation)
    assert completed(redis_server) == 3
