"""What nobody should do to a queue, and somebody will: nothing crashes, nothing is lost, nothing of
another queue is touched.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re

import pytest

from bullmq_operator.domain.counts import RetirementOutcome, UnknownReason
from bullmq_operator.queues.clients import ClientTable, list_clients
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.counts import read_queue
from bullmq_operator.queues.detail import read_detail
from bullmq_operator.queues.errors import QueueReadError
from bullmq_operator.queues.inventory import take_inventory
from bullmq_operator.queues.retirement import restore_settings, retire_queue, sweep_recreated
from devcluster.bullmq import Major
from tests.integration.queues.features import EVERY_MAJOR, Feature, majors_with
from tests.integration.queues.support import Shop

pytestmark = pytest.mark.redis

MEGABYTE = 1_000_000
GRAPHIC = re.compile("[!-~]+")
"""What Redis lets a connection be called."""

STRANGE = {
    "*": "orders",
    "?": "a",
    "[a-z]": "b",
    "[": "a",
    "]": "a",
    "^$": "a",
    "back\\slash": "backslash",
    "ends\\": "ends",
    "{}": "a",
    "{tag}/v1": "tag/v1",
    "two words": "two",
    " ": "a",
    "line\nbreak": "line",
    "a|b": "b",
    "%s%d%": "a",
    "orders/v1/eu": "orders/v1",
    "orders/v1": "orders/v1/eu",
    "späße-日本語-🚀": "spaesse",
    "meta": "metal",
    "1": "11",
}
"""Names, each with a neighbour that it would match as a pattern, or begins like."""


async def retire(connection: RedisConnection, shop: Shop) -> RetirementOutcome:
    inventory = await take_inventory(connection, shop.queue)
    return await retire_queue(connection, shop.queue, inventory, inventory.stamp)


@pytest.mark.parametrize(("name", "neighbour"), STRANGE.items())
async def test_a_queue_of_a_strange_name_is_counted_and_retired_and_no_other(
    connection: RedisConnection, shop: Shop, name: str, neighbour: str
) -> None:
    strange, near = shop.other(name), shop.other(neighbour)
    for queue in (strange, near):
        queue.finish(2, failed=1)
        shop.raw.set(f"{queue.base}de:k", "1")
    before = near.snapshot()
    reading = await read_queue(connection, strange.base)
    assert (reading.counts.completed, reading.counts.failed) == (2, 1)
    outcome = await retire(connection, strange)
    assert outcome == RetirementOutcome(obliterated_jobs=3, swept_keys=1, closed=True)
    assert strange.keys() == set()
    assert near.snapshot() == before


@pytest.mark.parametrize("prefix", ["b*", "[b]ull", "b?ll", "bull\\", "{bull}", "two words"])
async def test_a_queue_of_a_strange_prefix_is_retired_and_no_other(
    connection: RedisConnection, shop: Shop, prefix: str
) -> None:
    strange, near = shop.other("orders", prefix), shop.other("orders")
    strange.finish(2)
    near.finish(2)
    before = near.snapshot()
    assert (await retire(connection, strange)).closed
    assert strange.keys() == set()
    assert near.snapshot() == before


@EVERY_MAJOR
async def test_workers_on_queues_of_strange_names_are_attached_each_to_its_own(
    connection: RedisConnection, shop: Shop
) -> None:
    """A Python worker calls its connection like its queue, in Redis's words "without spaces,
    newlines or special characters": on a queue of another name it can't work at all.
    """
    names = [name for name in STRANGE if shop.major is not Major.PYTHON or GRAPHIC.fullmatch(name)]
    with shop.worker(BULLMQ_QUEUE_NAMES=json.dumps(names)):
        found = await list_clients(connection)
    assert isinstance(found, ClientTable)
    each = 2 if shop.major is Major.PYTHON else 1
    assert {name: len(found.attached("bull", name)) for name in names} == dict.fromkeys(names, each)
    others = set(STRANGE.values()) - set(STRANGE)
    assert [name for name in others if found.attached("bull", name)] == []


STRANGE_IDS = ["order:1", "a:b:c", "x:logs", "x:failed", "*", "[a]", "é"]


@majors_with(Feature.COLONS_IN_IDS)
async def test_jobs_of_strange_ids_are_retired_with_their_parts_and_no_others(
    connection: RedisConnection, shop: Shop
) -> None:
    near = shop.other("orders/v1:order")  # its keys are named like parts of the job `order`
    shop.raw.hset(f"{near.base}meta", "version", "bullmq:4")
    shop.raw.rpush(f"{near.base}wait", "1")
    before = near.snapshot()
    count = len(STRANGE_IDS)
    shop.run(*(["add", "x", {}, {"jobId": job}] for job in STRANGE_IDS), ["process", count])
    shop.run(*(["job", job, "log", "a line"] for job in STRANGE_IDS))
    outcome = await retire(connection, shop)
    assert outcome == RetirementOutcome(obliterated_jobs=count, closed=True)
    assert shop.keys() == near.keys()
    assert near.snapshot() == before


@majors_with(Feature.COLONS_IN_IDS)
async def test_a_lost_job_whose_id_has_a_colon_is_held_as_perhaps_another_queues(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.run(["add", "x", {}, {"jobId": "order:1"}])
    shop.raw.delete(f"{shop.base}wait")
    before = shop.snapshot()
    assert await retire(connection, shop) == RetirementOutcome(stopped_by="UnknownKeys")
    assert shop.snapshot() == before


@EVERY_MAJOR
async def test_jobs_of_a_megabyte_are_retired_without_being_read(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.run(*(["add", "x", {"d": "x" * MEGABYTE}] for _ in range(5)), ["process", 5])
    shop.raw.rpush(f"{shop.base}1:logs", "x" * MEGABYTE)
    before = shop.raw.info("stats")["total_net_output_bytes"]
    assert (await retire(connection, shop)).closed
    assert shop.raw.info("stats")["total_net_output_bytes"] - before < MEGABYTE / 10
    assert shop.keys() == set()


async def test_a_hundred_thousand_deduplication_keys_are_swept_in_bounded_calls(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.finish(1)
    with shop.raw.pipeline(transaction=False) as pipe:
        for number in range(100_000):
            pipe.set(f"{shop.base}de:{number}", "1")
        pipe.execute()
    calls: list[int] = []
    inventory = await take_inventory(connection, shop.queue)
    outcome = await retire_queue(
        connection,
        shop.queue,
        inventory,
        inventory.stamp,
        lambda progress: calls.append(progress.swept_keys),
        patience=60,
    )
    assert (outcome.swept_keys, outcome.closed) == (100_000, True)
    assert max(b - a for a, b in itertools.pairwise(calls)) <= 1000
    assert shop.keys() == set()


JOBS_BY_STATE = (
    *("wait", "paused", "active", "delayed", "prioritized", "waiting-children", "repeat"),
    *("completed", "failed"),
)


@pytest.mark.parametrize("name", [*JOBS_BY_STATE, "meta", "id", "events"])
async def test_a_key_of_a_wrong_type_stops_everything_and_says_which_queue(
    connection: RedisConnection, shop: Shop, name: str
) -> None:
    """Also when it came between the inventory and the deletion."""
    shop.finish(2)
    inventory = await take_inventory(connection, shop.queue)
    shop.raw.delete(f"{shop.base}{name}")
    shop.raw.pfadd(f"{shop.base}{name}", "neither list nor set nor hash nor number")
    before = shop.snapshot()
    for call in (
        read_queue(connection, shop.base),
        take_inventory(connection, shop.queue),
        retire_queue(connection, shop.queue, inventory, inventory.stamp),
    ):
        with pytest.raises(QueueReadError, match="bull:orders/v1") as caught:
            await call
        assert caught.value.reason is UnknownReason.WRONG_TYPE
    assert shop.snapshot() == before


async def test_where_memory_is_full_a_queue_is_still_read_and_retired(
    connection: RedisConnection, shop: Shop
) -> None:
    """It is how memory comes free; BullMQ's own obliterate needs a pause, which Redis refuses."""
    shop.finish(300, failed=10)
    shop.raw.set(f"{shop.base}de:k", "1")
    shop.raw.config_set("maxmemory", 1)
    assert (await read_queue(connection, shop.base)).counts.completed == 300
    outcome = await retire(connection, shop)
    assert outcome == RetirementOutcome(obliterated_jobs=310, swept_keys=1, closed=True)
    assert shop.keys() == set()


async def test_where_memory_is_full_what_has_to_be_written_is_refused_in_words(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.raw.config_set("maxmemory", 1)
    with pytest.raises(QueueReadError, match="out of memory"):
        await restore_settings(connection, shop.queue, {"concurrency": "1"})
    assert shop.keys() == set()


async def test_scripts_that_are_flushed_all_the_time_change_nothing(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.finish(300, failed=20)
    shop.raw.set(f"{shop.base}de:k", "1")
    done = asyncio.Event()
    flushing = asyncio.create_task(flush_scripts(connection, done))
    try:
        outcome = await retire(connection, shop)
        again = await sweep_recreated(connection, shop.queue)
    finally:
        done.set()
        flushes = await flushing
    assert outcome == RetirementOutcome(obliterated_jobs=320, swept_keys=1, closed=True)
    assert again == RetirementOutcome()
    assert flushes > 0
    assert shop.keys() == set()


async def flush_scripts(connection: RedisConnection, done: asyncio.Event) -> int:
    """How often."""
    flushes = 0
    while not done.is_set():
        await connection.client.script_flush()
        flushes += 1
    return flushes


async def test_details_of_a_queue_with_a_key_of_a_wrong_type_are_refused_in_words(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.raw.set(f"{shop.base}repeat", "text")
    with pytest.raises(QueueReadError) as caught:
        await read_detail(connection, shop.base)
    assert caught.value.reason is UnknownReason.WRONG_TYPE
