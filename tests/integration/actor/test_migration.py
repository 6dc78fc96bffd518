"""Jobs move to another version's queue only as both were looked at, and are counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from bullmq_operator.actor.errors import IncompleteError
from bullmq_operator.actor.execute import SOON_S
from bullmq_operator.domain.counts import RetirementOutcome
from bullmq_operator.domain.migration import LeftJobs, LeftReason, MigrationRefusal
from bullmq_operator.domain.observation import QueueVersion
from bullmq_operator.domain.plan import MigrateJobs, Plan
from devcluster import bullmq
from devcluster.cluster import Cluster
from devcluster.redis_server import RedisServer
from tests.integration.actor.support import Hands

pytestmark = [pytest.mark.cluster, pytest.mark.redis]

JOBS = 3
MANY = 2_000


@dataclass(frozen=True)
class Pair:
    """Two versions, and how many jobs wait in the queue of each."""

    server: RedisServer
    old: QueueVersion
    new: QueueVersion

    def plan(self) -> Plan:
        action = MigrateJobs(self.old.key, self.old.queue, self.new.key, self.new.queue, "v1-")
        return Plan(actions=(action,))

    def waiting(self) -> tuple[int, int]:
        with self.server.client() as client:
            old, new = (client.llen(f"bull:orders/v{n}:wait") for n in (1, 2))
            return int(old), int(new)


@pytest.fixture
def pair(redis_server: RedisServer, a_version: Callable[..., QueueVersion]) -> Pair:
    """v1 has jobs, v2 is there."""
    bullmq.run(redis_server.url, "orders/v1", ["addBulk", bullmq.jobs(JOBS)])
    url = {"url": redis_server.url}
    old, new = a_version(redis=url), a_version("orders-v2", version="2", redis=url)
    return Pair(redis_server, old, new)


def edit(cluster: Cluster, version: QueueVersion, spec: str) -> None:
    patch = ("patch", "queueversion", version.key.name, "--type=merge", "-p")
    cluster.kubectl(*patch, f'{{"spec":{spec}}}', namespace=version.key.namespace)


async def test_jobs_move_and_are_counted_and_a_second_run_finds_none(
    hands: Hands, pair: Pair
) -> None:
    for _ in range(2):
        await hands.execute(pair.plan(), await hands.observed(pair.old, pair.new))
        assert pair.waiting() == (0, JOBS)
        assert hands.outcomes.last(pair.old.key) == RetirementOutcome(migrated_jobs=JOBS)
    run = hands.outcomes.migration(pair.old.key)
    assert run is not None
    assert (run.target, run.outcome.migrated_jobs) == (pair.new.queue, 0)


async def test_what_had_to_stay_is_told_by_its_reason(hands: Hands, pair: Pair) -> None:
    with pair.server.client() as client:
        client.lpush("bull:orders/v1:wait", "nothing-behind-it")
    await hands.execute(pair.plan(), await hands.observed(pair.old, pair.new))
    assert pair.waiting() == (1, JOBS)
    run = hands.outcomes.migration(pair.old.key)
    assert run is not None
    assert run.outcome.left == (LeftJobs(LeftReason.NO_JOB, 1, ("nothing-behind-it",)),)


async def test_a_refusal_is_kept_for_the_next_look(hands: Hands, pair: Pair) -> None:
    action = MigrateJobs(pair.old.key, pair.new.queue, pair.new.key, pair.new.queue, "v1-")
    await hands.execute(Plan(actions=(action,)), await hands.observed(pair.old, pair.new))
    run = hands.outcomes.migration(pair.old.key)
    assert run is not None
    assert run.outcome.refused is MigrationRefusal.SAME_QUEUE
    assert hands.outcomes.last(pair.old.key) is None


@pytest.mark.parametrize(
    ("of", "spec"),
    [
        pytest.param("old", '{"drain":{"timeout":"9h"}}', id="more time"),
        pytest.param("old", '{"suspend":true}', id="suspended"),
        pytest.param("new", '{"state":"Retired"}', id="a rollback"),
        pytest.param("new", '{"suspend":true}', id="the other one suspended"),
    ],
)
async def test_an_edit_that_no_watch_has_told_yet_stops_it(
    hands: Hands, cluster: Cluster, pair: Pair, of: str, spec: str
) -> None:
    observation = await hands.observed(pair.old, pair.new)
    edit(cluster, getattr(pair, of), spec)
    assert await hands.execute(pair.plan(), observation) == SOON_S
    assert pair.waiting() == (JOBS, 0)


@pytest.mark.parametrize("of", ["old", "new"])
async def test_a_version_that_is_gone_stops_it(
    hands: Hands, cluster: Cluster, pair: Pair, of: str
) -> None:
    observation = await hands.observed(pair.old, pair.new)
    key = getattr(pair, of).key
    cluster.kubectl("delete", "queueversion", key.name, namespace=key.namespace)
    assert await hands.execute(pair.plan(), observation) == SOON_S
    assert pair.waiting() == (JOBS, 0)


@pytest.mark.parametrize("version", ["1", "2"])
async def test_another_version_on_one_of_the_queues_stops_it(
    hands: Hands, pair: Pair, a_version: Callable[..., QueueVersion], version: str
) -> None:
    observation = await hands.observed(pair.old, pair.new)
    redis = {"url": pair.server.url}
    name = f"orders/v{version}"
    rival = a_version("rival", queue="other", version="9", queueName=name, redis=redis)
    hands.cache.upsert_version(rival)
    assert await hands.execute(pair.plan(), observation) == SOON_S
    assert pair.waiting() == (JOBS, 0)


async def test_a_rollback_in_the_middle_leaves_the_rest_where_it_is(
    hands: Hands, pair: Pair
) -> None:
    """The watch tells of it between two calls; what was moved until then is counted."""
    bullmq.run(pair.server.url, "orders/v1", ["addBulk", bullmq.jobs(MANY)])
    observation = await hands.observed(pair.old, pair.new)

    async def roll_back_once_jobs_move() -> None:
        while pair.waiting()[1] == 0:  # noqa: ASYNC110  (Redis sends no word of it)
            await asyncio.sleep(0)
        hands.cache.upsert_version(replace(pair.new, generation=pair.new.generation + 1))

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(roll_back_once_jobs_move())
        assert await hands.execute(pair.plan(), observation) == SOON_S
    old, new = pair.waiting()
    assert old > 0
    assert old + new == JOBS + MANY
    assert hands.outcomes.last(pair.old.key) == RetirementOutcome(migrated_jobs=new)


async def test_a_redis_that_refuses_moves_nothing_and_is_tried_with_back_off(
    hands: Hands, pair: Pair
) -> None:
    observation = await hands.observed(pair.old, pair.new)
    with pair.server.client() as client:
        client.set("bull:orders/v2:delayed", "no zset")
    with pytest.raises(IncompleteError):
        await hands.execute(pair.plan(), observation)
    assert pair.waiting() == (JOBS, 0)
    assert hands.outcomes.failure(pair.old.key) is not None
    assert hands.outcomes.migration(pair.old.key) is None
