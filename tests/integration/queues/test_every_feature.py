"""Every kind of key of every BullMQ is known: a queue that used all of them leaves nothing."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.counts import read_queue
from bullmq_operator.queues.inventory import take_inventory
from bullmq_operator.queues.retirement import retire_queue
from devcluster.bullmq import Major
from tests.integration.queues.features import EVERY_MAJOR, finish_everything, use_everything
from tests.integration.queues.support import Shop

pytestmark = pytest.mark.redis

DRAIN_SECONDS = 60.0


async def drain(connection: RedisConnection, shop: Shop) -> None:
    """A live worker of this BullMQ does what there is."""
    with shop.worker(STALLED_MS="1000"):
        async with asyncio.timeout(DRAIN_SECONDS):
            while await is_unfinished(connection, shop):  # noqa: ASYNC110  (told by nobody)
                await asyncio.sleep(0.05)


async def is_unfinished(connection: RedisConnection, shop: Shop) -> bool:
    return (await read_queue(connection, shop.base)).counts.unfinished > 0


@EVERY_MAJOR
async def test_a_queue_that_used_every_feature_holds_no_key_of_an_unknown_kind(
    connection: RedisConnection, shop: Shop
) -> None:
    use_everything(shop)
    found = await take_inventory(connection, shop.queue)
    assert (found.unknown_keys, found.foreign_queues, found.orphans) == ((), (), ())


@pytest.mark.parametrize(
    ("producer", "worker"),
    [
        pytest.param(producer, worker, id=f"{producer} produces, {worker} works")
        for producer, worker in itertools.product(Major, Major)
    ],
)
async def test_a_queue_that_used_every_feature_is_retired_to_the_last_key(
    connection: RedisConnection, shop: Shop, producer: Major, worker: Major
) -> None:
    use_everything(shop.by(producer))
    finish_everything(shop.by(producer))
    await drain(connection, shop.by(worker))
    inventory = await take_inventory(connection, shop.queue)
    outcome = await retire_queue(connection, shop.queue, inventory, inventory.stamp)
    assert (outcome.closed, outcome.stopped_by) == (True, None)
    assert shop.keys() == set()
