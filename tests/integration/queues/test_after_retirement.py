"""After a retirement: what old processes re-create is swept; settings come back on a reopen."""

from __future__ import annotations

import pytest

from bullmq_operator.domain.counts import RetirementOutcome
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.inventory import take_inventory
from bullmq_operator.queues.retirement import restore_settings, retire_queue, sweep_recreated
from devcluster.bullmq import Major
from devcluster.waiting import wait_until
from tests.integration.queues.features import EVERY_MAJOR, Feature, majors_with
from tests.integration.queues.support import Shop

pytestmark = pytest.mark.redis


async def retire(connection: RedisConnection, shop: Shop) -> RetirementOutcome:
    inventory = await take_inventory(connection, shop.queue)
    return await retire_queue(connection, shop.queue, inventory, inventory.stamp)


@EVERY_MAJOR
async def test_what_an_old_process_re_creates_is_swept(
    connection: RedisConnection, shop: Shop
) -> None:
    """A worker that nobody stopped: it looks for stalled jobs, and opens its queue."""
    shop.finish(1)
    await retire(connection, shop)
    with shop.worker(STALLED_MS="60000" if shop.major is not Major.PYTHON else "500"):
        wait_until(shop.keys, "the worker wrote a key again")
    again = len(shop.keys())
    assert await sweep_recreated(connection, shop.queue) == RetirementOutcome(swept_keys=again)
    assert shop.keys() == set()


@EVERY_MAJOR
@pytest.mark.parametrize(
    ("steps", "stopped_by"),
    [
        pytest.param([["add", "x", {}, {}]], "LateJob", id="a late job"),
        pytest.param([["add", "x", {}, {}], ["process", 1]], "LateJob", id="a finished late job"),
        pytest.param([["pause"]], "KeysLeft", id="a pause"),
    ],
)
async def test_nothing_of_what_somebody_meant_is_swept(
    connection: RedisConnection, shop: Shop, steps: list[list[object]], stopped_by: str
) -> None:
    await sweeps_nothing(connection, shop, steps, stopped_by)


@majors_with(Feature.LIMITS)
async def test_settings_that_somebody_made_are_not_swept(
    connection: RedisConnection, shop: Shop
) -> None:
    await sweeps_nothing(connection, shop, [["setGlobalConcurrency", 1]], "KeysLeft")


async def sweeps_nothing(
    connection: RedisConnection, shop: Shop, steps: list[list[object]], stopped_by: str
) -> None:
    shop.run(*steps)
    shop.raw.hset(f"{shop.base}meta", "version", "bullmq:6")
    before = shop.snapshot()
    outcome = await sweep_recreated(connection, shop.queue)
    assert outcome == RetirementOutcome(stopped_by=stopped_by)
    assert shop.snapshot() == before


@majors_with(Feature.LIMITS)
async def test_a_reopened_queue_gets_its_settings_back_but_not_over_newer_ones(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.run(["setGlobalConcurrency", 1], ["setGlobalRateLimit", 10, 1000])
    settings = dict((await take_inventory(connection, shop.queue)).settings)
    await retire(connection, shop)
    shop.run(["setGlobalConcurrency", 5])
    await restore_settings(connection, shop.queue, settings)
    await restore_settings(connection, shop.queue, {})
    assert shop.run(["getGlobalConcurrency"]) == [5]
    assert shop.raw.hget(f"{shop.base}meta", "max") == "10"
