"""Finished jobs within their limits: jobs of every BullMQ, removed as BullMQ removes them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bullmq_operator.domain.spec import Keep
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.inventory import take_inventory
from bullmq_operator.queues.retention import MOST_AT_ONCE, prune
from devcluster.bullmq import Major
from tests.integration.queues.support import Shop

pytestmark = pytest.mark.redis

EVERY_MAJOR = pytest.mark.parametrize("major", list(Major), ids=str)
LONG_AGO_MS = 1_600_000_000_000


def keys_of(shop: Shop, *jobs: str) -> list[str]:
    """Whatever is named after one of the jobs."""
    there = [name.removeprefix(shop.base) for name in sorted(shop.keys())]
    return [name for name in there if name.partition(":")[0] in jobs]


def ids(shop: Shop, state: str) -> list[str]:
    """Oldest first."""
    return [str(one) for one in shop.raw.zrange(f"{shop.base}{state}", 0, -1)]


def age_by_hand(shop: Shop, state: str, *jobs: str) -> None:
    """No worker of a test finishes a job weeks ago."""
    shop.raw.zadd(f"{shop.base}{state}", {job: LONG_AGO_MS + n for n, job in enumerate(jobs)})


@EVERY_MAJOR
async def test_the_newest_are_kept_and_nothing_is_left_of_the_others(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.finish(completed=5, failed=3)
    completed, failed = ids(shop, "completed"), ids(shop, "failed")
    done = await prune(connection, shop.queue, "completed", Keep(count=2))
    assert (done.removed, done.is_done, done.bytes_freed > 0) == (3, True, True)
    await prune(connection, shop.queue, "failed", Keep(count=0))
    assert (ids(shop, "completed"), ids(shop, "failed")) == (completed[-2:], [])
    assert keys_of(shop, *completed[:3], *failed) == []
    inventory = await take_inventory(connection, shop.queue)
    assert (inventory.unknown_keys, inventory.orphans) == ((), ())


@EVERY_MAJOR
async def test_the_older_are_removed_and_whoever_is_younger_stays(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.finish(completed=4)
    old, young = ids(shop, "completed")[:3], ids(shop, "completed")[3:]
    age_by_hand(shop, "completed", *old)
    done = await prune(connection, shop.queue, "completed", Keep(age=timedelta(hours=1)))
    assert done.removed == len(old)
    assert ids(shop, "completed") == young


async def test_both_limits_apply(connection: RedisConnection, shop: Shop) -> None:
    shop.finish(completed=6)
    jobs = ids(shop, "completed")
    age_by_hand(shop, "completed", *jobs[:2])
    keep = Keep(age=timedelta(hours=1), count=3)
    assert (await prune(connection, shop.queue, "completed", keep)).removed == 3
    assert ids(shop, "completed") == jobs[3:]


async def test_unfinished_jobs_are_never_touched(connection: RedisConnection, shop: Shop) -> None:
    shop.finish(completed=2)
    shop.add("waits")
    await prune(connection, shop.queue, "completed", Keep(count=0))
    assert shop.raw.exists(f"{shop.base}waits")
    assert shop.run(["getJobCounts"])[0]["waiting"] == 1


@pytest.mark.parametrize("major", [Major.V5, Major.V6], ids=str)
async def test_a_failed_job_that_a_parent_waits_for_is_kept_and_the_ones_after_it_go(
    connection: RedisConnection, shop: Shop
) -> None:
    child = {"name": "child", "queueName": shop.name, "data": {}}
    flow = {"name": "parent", "queueName": "reports", "data": {}, "children": [child]}
    shop.run(["addFlow", flow], ["process", 1, {"fail": True}])
    [waited_for] = ids(shop, "failed")
    shop.finish(completed=0, failed=4)
    done = await prune(connection, shop.queue, "failed", Keep(count=0))
    assert (done.removed, done.kept) == (4, 1)
    assert ids(shop, "failed") == [waited_for]


async def test_another_queue_that_is_named_like_a_job_keeps_its_failed_jobs(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.run(["add", "job", {}, {"jobId": "eu"}], ["process", 1])
    neighbour = shop.other(f"{shop.name}:eu")
    neighbour.raw.zadd(f"{neighbour.base}failed", {"1": 1})
    await prune(connection, shop.queue, "completed", Keep(count=0))
    assert neighbour.raw.zcard(f"{neighbour.base}failed") == 1


async def test_a_deduplication_id_goes_with_its_job(
    connection: RedisConnection, shop: Shop
) -> None:
    options = {"deduplication": {"id": "once", "ttl": 3_600_000}}
    shop.run(["add", "job", {}, options], ["process", 1])
    assert shop.raw.exists(f"{shop.base}de:once")
    await prune(connection, shop.queue, "completed", Keep(count=0))
    assert not shop.raw.exists(f"{shop.base}de:once")


async def test_a_long_arrears_is_worked_off_in_several_passes(
    connection: RedisConnection, shop: Shop
) -> None:
    extra = 500
    pipe = shop.raw.pipeline()
    for job in range(MOST_AT_ONCE + extra):  # by hand: BullMQ takes a minute for so many
        pipe.hset(f"{shop.base}{job}", mapping={"data": "{}", "finishedOn": LONG_AGO_MS})
        pipe.zadd(f"{shop.base}completed", {str(job): LONG_AGO_MS + job})
    pipe.execute()
    first = await prune(connection, shop.queue, "completed", Keep(count=0))
    then = await prune(connection, shop.queue, "completed", Keep(count=0))
    assert (first.is_done, then.is_done) == (False, True)
    assert first.removed + then.removed == MOST_AT_ONCE + extra
    assert shop.keys() == set()


async def test_kept_jobs_without_end_are_not_looked_at_without_end(
    connection: RedisConnection, shop: Shop
) -> None:
    parent = "bull:reports:1"
    pipe = shop.raw.pipeline()
    for job in range(MOST_AT_ONCE + 1):
        pipe.hset(f"{shop.base}{job}", mapping={"parentKey": parent, "finishedOn": LONG_AGO_MS})
        pipe.sadd(f"{parent}:dependencies", f"{shop.base}{job}")
        pipe.zadd(f"{shop.base}failed", {str(job): LONG_AGO_MS + job})
    pipe.execute()
    done = await prune(connection, shop.queue, "failed", Keep(count=0))
    assert (done.removed, done.is_done) == (0, True)
