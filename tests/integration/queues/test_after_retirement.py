"""After a retirement: what old processes re-create is swept; settings come back on a reopen."""

from __future__ import annotations

import pytest

from bullmq_operator.domain.counts import RetirementOutcome
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.inventory import take_inventory
from bullmq_operator.queues.retirement import restore_settings, retire_queue, sweep_recreated
from tests.integration.queues.support import Shop

pytestmark = pytest.mark.redis


async def retire(connection: RedisConnection, shop: Shop) -> RetirementOutcome:
    inventory = await take_inventory(connection, shop.queue)
    return await retire_queue(connection, shop.queue, inventory, inventory.stamp)


async def test_what_an_old_process_re_creates_is_swept(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.finish(1)
    await retire(connection, shop)
    shop.raw.hset(f"{shop.base}meta", mapping={"opts.maxLenEvents": 1, "version": "bullmq:6"})
    shop.raw.set(f"{shop.base}stalled-check", "1")
    assert await sweep_recreated(connection, shop.queue) == RetirementOutcome(swept_keys=2)
    assert shop.keys() == set()


@pytest.mark.parametrize(
    ("steps", "stopped_by"),
    [
        pytest.param([["add", "x", {}, {}]], "LateJob", id="a late job"),
        pytest.param([["add", "x", {}, {}], ["process", 1]], "LateJob", id="a finished late job"),
        pytest.param([["setGlobalConcurrency", 1]], "KeysLeft", id="settings"),
        pytest.param([["pause"]], "KeysLeft", id="a pause"),
    ],
)
async def test_nothing_of_what_somebody_meant_is_swept(
    connection: RedisConnection, shop: Shop, steps: list[list[object]], stopped_by: str
) -> None:
    shop.run(*steps)
    shop.raw.hset(f"{shop.base}meta", "version", "bullmq:6")
    before = shop.snapshot()
    outcome = await sweep_recreated(connection, shop.queue)
    assert outcome == RetirementOutcome(stopped_by=stopped_by)
    assert shop.snapshot() == before


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
