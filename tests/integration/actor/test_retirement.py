"""A queue is deleted only as it was looked at, and what was deleted is counted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from bullmq_operator.actor.errors import IncompleteError
from bullmq_operator.actor.execute import SOON_S
from bullmq_operator.domain.counts import RetirementOutcome
from bullmq_operator.domain.names import VersionKey
from bullmq_operator.domain.observation import QueueVersion
from bullmq_operator.domain.plan import Plan, RestoreSettings, SweepRecreated
from bullmq_operator.domain.status import Phase, Status
from bullmq_operator.kube.codec import parse_version
from devcluster import bullmq
from devcluster.cluster import Cluster
from devcluster.redis_server import RedisServer
from tests.integration.actor.support import Hands
from tests.integration.kube.conftest import found

pytestmark = [pytest.mark.cluster, pytest.mark.redis]

FINISHED = 3


@pytest.fixture
def begun(
    cluster: Cluster, redis_server: RedisServer, a_version: Callable[..., QueueVersion]
) -> QueueVersion:
    """A version on `orders/v1`, with the intent to delete the queue on record."""
    version = a_version(redis={"url": redis_server.url})
    edit_status(cluster, version, retirement={"startedAt": "2026-03-02T12:00:00Z"})
    return parse_version(found(cluster, "queueversion", version.key.name, version.key.namespace))


@pytest.fixture
def finished(redis_server: RedisServer, begun: QueueVersion) -> QueueVersion:
    """It has nothing but finished jobs."""
    jobs = bullmq.jobs(FINISHED)
    bullmq.run(redis_server.url, "orders/v1", ["addBulk", jobs], ["process", FINISHED])
    return begun


def edit_status(cluster: Cluster, version: QueueVersion, **status: object) -> None:
    edit = ("patch", "queueversion", version.key.name, "--subresource=status", "--type=merge")
    cluster.kubectl(*edit, "-p", json.dumps({"status": status}), namespace=version.key.namespace)


def keys(server: RedisServer) -> list[str]:
    with server.client() as client:
        return sorted(client.keys("*"))


async def test_what_was_deleted_is_told_until_a_status_holds_it(
    hands: Hands, redis_server: RedisServer, finished: QueueVersion
) -> None:
    action = await hands.retirement_of(finished)
    await hands.execute(Plan(actions=(action,)), await hands.observed(finished))
    assert keys(redis_server) == []
    outcome = hands.outcomes.last(finished.key)
    assert outcome is not None
    assert (outcome.obliterated_jobs, outcome.closed) == (FINISHED, True)
    status = Status(observed_generation=1, phase=Phase.RETIRED)
    plan = Plan(statuses=((finished.key, status),))
    await hands.execute(plan, await hands.observed(finished))
    assert hands.outcomes.last(finished.key) is None


async def test_a_job_added_since_the_proof_stops_the_deletion_and_is_tried_with_back_off(
    hands: Hands, redis_server: RedisServer, finished: QueueVersion
) -> None:
    action = await hands.retirement_of(finished)
    observation = await hands.observed(finished)
    bullmq.run(redis_server.url, "orders/v1", ["addBulk", bullmq.jobs(1)])
    before = keys(redis_server)
    with pytest.raises(IncompleteError, match="LateJob"):
        await hands.execute(Plan(actions=(action,)), observation)
    assert keys(redis_server) == before
    assert hands.outcomes.last(finished.key) == RetirementOutcome(stopped_by="LateJob")


async def test_an_edit_that_no_watch_has_told_yet_stops_it(
    hands: Hands, cluster: Cluster, redis_server: RedisServer, finished: QueueVersion
) -> None:
    action, observation = await hands.retirement_of(finished), await hands.observed(finished)
    edit = ("patch", "queueversion", finished.key.name, "--type=merge", "-p")
    cluster.kubectl(*edit, '{"spec":{"suspend":true}}', namespace=finished.key.namespace)
    before = keys(redis_server)
    assert await hands.execute(Plan(actions=(action,)), observation) == SOON_S
    assert keys(redis_server) == before


async def test_an_object_that_can_not_be_understood_any_more_stops_it(
    hands: Hands, cluster: Cluster, redis_server: RedisServer, finished: QueueVersion
) -> None:
    action, observation = await hands.retirement_of(finished), await hands.observed(finished)
    edit_status(cluster, finished, retiredAt="0000-01-01T00:00:00Z")  # Kubernetes has that year
    before = keys(redis_server)
    assert await hands.execute(Plan(actions=(action,)), observation) == SOON_S
    assert keys(redis_server) == before


async def test_a_rollback_by_another_process_stops_it(
    hands: Hands, cluster: Cluster, redis_server: RedisServer, finished: QueueVersion
) -> None:
    """It edits another object: neither this one's generation nor its queue tells of it."""
    action, observation = await hands.retirement_of(finished), await hands.observed(finished)
    edit_status(cluster, finished, retirement=None)
    before = keys(redis_server)
    assert await hands.execute(Plan(actions=(action,)), observation) == SOON_S
    assert keys(redis_server) == before


async def test_a_deletion_of_the_object_that_no_watch_has_told_yet_stops_it(
    hands: Hands, cluster: Cluster, redis_server: RedisServer, finished: QueueVersion
) -> None:
    action, observation = await hands.retirement_of(finished), await hands.observed(finished)
    cluster.kubectl("delete", "queueversion", finished.key.name, namespace=finished.key.namespace)
    before = keys(redis_server)
    assert await hands.execute(Plan(actions=(action,)), observation) == SOON_S
    assert keys(redis_server) == before
    assert hands.cache.version(finished.key) is None


async def test_another_version_of_the_same_queue_stops_it(
    hands: Hands, redis_server: RedisServer, finished: QueueVersion
) -> None:
    action, observation = await hands.retirement_of(finished), await hands.observed(finished)
    rival = replace(
        finished,
        key=VersionKey(finished.key.namespace, "rival"),
        uid="rival",
        spec=replace(finished.spec, queue="other", queue_name="orders/v1"),
    )
    hands.cache.upsert_version(rival)
    before = keys(redis_server)
    assert await hands.execute(Plan(actions=(action,)), observation) == SOON_S
    assert keys(redis_server) == before


async def test_another_redis_than_was_looked_at_stops_it(
    hands: Hands, redis_server: RedisServer, finished: QueueVersion
) -> None:
    action, observation = await hands.retirement_of(finished), await hands.observed(finished)
    view = replace(observation.versions[0], redis="elsewhere:6379/0")
    before = keys(redis_server)
    plan, elsewhere = Plan(actions=(action,)), replace(observation, versions=(view,))
    assert await hands.execute(plan, elsewhere) == SOON_S
    assert keys(redis_server) == before


async def test_keys_that_a_client_made_anew_are_swept_and_counted(
    hands: Hands, redis_server: RedisServer, begun: QueueVersion
) -> None:
    with redis_server.client() as client:
        client.hset("bull:orders/v1:meta", "opts.maxLenEvents", "10000")  # as `new Queue()` does
    sweep = SweepRecreated(begun.key, begun.queue)
    await hands.execute(Plan(actions=(sweep,)), await hands.observed(begun))
    assert keys(redis_server) == []
    assert hands.outcomes.last(begun.key) == RetirementOutcome(swept_keys=1)


async def test_keys_that_somebody_meant_are_left_and_looked_at_again(
    hands: Hands, redis_server: RedisServer, begun: QueueVersion
) -> None:
    bullmq.run(redis_server.url, "orders/v1", ["setGlobalConcurrency", 1], ["pause"])
    before = keys(redis_server)
    sweep = SweepRecreated(begun.key, begun.queue)
    observation = await hands.observed(begun)
    assert await hands.execute(Plan(actions=(sweep,)), observation) == SOON_S
    assert keys(redis_server) == before
    assert hands.outcomes.last(begun.key) is None


async def test_settings_go_back_where_they_are_absent(
    hands: Hands, redis_server: RedisServer, a_version: Callable[..., QueueVersion]
) -> None:
    version = a_version(redis={"url": redis_server.url})
    restore = RestoreSettings(version.key, version.queue, (("concurrency", "1"),))
    await hands.execute(Plan(actions=(restore,)), await hands.observed(version))
    with redis_server.client() as client:
        assert client.hget("bull:orders/v1:meta", "concurrency") == "1"


async def test_a_redis_that_is_away_fails_the_deletion_and_counts_nothing(
    hands: Hands, redis_server: RedisServer, finished: QueueVersion
) -> None:
    action, observation = await hands.retirement_of(finished), await hands.observed(finished)
    redis_server.kill()
    with pytest.raises(IncompleteError, match="can't be reached"):
        await hands.execute(Plan(actions=(action,)), observation)
    redis_server.restart()
    assert hands.outcomes.last(finished.key) is None


async def test_why_an_action_failed_is_known_until_none_fails(
    hands: Hands, redis_server: RedisServer, finished: QueueVersion
) -> None:
    action, observation = await hands.retirement_of(finished), await hands.observed(finished)
    with redis_server.client() as client:
        client.execute_command("ACL SETUSER", "default", "-unlink")
        with pytest.raises(IncompleteError):
            await hands.execute(Plan(actions=(action,)), observation)
        failure = hands.outcomes.failure(finished.key)
        assert failure is not None
        assert "ACL" in failure
        client.execute_command("ACL SETUSER", "default", "+unlink")
    await hands.execute(Plan(actions=(action,)), observation)
    assert hands.outcomes.failure(finished.key) is None


async def test_a_long_deletion_stops_once_the_version_that_superseded_it_is_edited(
    hands: Hands,
    redis_server: RedisServer,
    a_version: Callable[..., QueueVersion],
    finished: QueueVersion,
) -> None:
    newer = a_version(name="orders-v2", version="2", redis={"url": redis_server.url})
    many, index = 20_000, "bull:orders/v1:completed"
    with redis_server.client() as client:
        pipe = client.pipeline()
        for job in range(many):  # by hand: BullMQ takes a minute for so many
            pipe.hset(f"bull:orders/v1:j{job}", mapping={"data": "{}", "finishedOn": 1})
            pipe.zadd(index, {f"j{job}": job})
        pipe.execute()
        action = await hands.retirement_of(finished)
        observation = await hands.observed(finished, newer)
        pass_ = asyncio.create_task(hands.execute(Plan(actions=(action,)), observation))
        while client.zcard(index) >= many and not pass_.done():  # noqa: ASYNC110  (told by nobody)
            await asyncio.sleep(0)
        hands.cache.upsert_version(replace(newer, generation=2, resource_version="999999999"))
        assert await pass_ == SOON_S
        assert 0 < client.zcard(index) < many
    outcome = hands.outcomes.last(finished.key)
    assert outcome is not None
    assert (outcome.obliterated_jobs > 0, outcome.closed) == (True, False)
