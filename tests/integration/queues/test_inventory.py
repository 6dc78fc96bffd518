"""The walk over a queue's keys: every key is classified, and nothing is written."""

from __future__ import annotations

import re

import pytest

from bullmq_operator.domain.counts import Inventory, QueueCounts
from bullmq_operator.queues import keys
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.counts import read_queue
from bullmq_operator.queues.inventory import take_inventory
from bullmq_operator.queues.scripts import load
from devcluster import bullmq
from devcluster.bullmq import Major
from tests.integration.queues.features import EVERY_MAJOR, Feature, majors_with, node, yearly
from tests.integration.queues.support import FAILING, Shop

pytestmark = pytest.mark.redis


async def inventory_of(connection: RedisConnection, shop: Shop) -> Inventory:
    return await take_inventory(connection, shop.queue)


@EVERY_MAJOR
async def test_a_drained_queue_holds_finished_jobs_and_nothing_else(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.finish(3, failed=2)
    shop.run(["job", "1", "log", "a line"])
    stamp = shop.raw.xinfo_stream(f"{shop.base}events")["last-generated-id"]
    assert await inventory_of(connection, shop) == Inventory(stamp=stamp, finished_jobs=5)


@EVERY_MAJOR
async def test_it_writes_nothing(connection: RedisConnection, shop: Shop) -> None:
    shop.finish(3, failed=2)
    shop.run(["addBulk", [{"name": "x", "data": {}, "opts": {"delay": 1000000}}]])
    before = (shop.snapshot(), shop.raw.info("persistence")["rdb_changes_since_last_save"])
    await inventory_of(connection, shop)
    after = (shop.snapshot(), shop.raw.info("persistence")["rdb_changes_since_last_save"])
    assert after == before


@EVERY_MAJOR
async def test_unfinished_jobs_of_every_state_are_neither_orphans_nor_residue(
    connection: RedisConnection, shop: Shop
) -> None:
    child = {"name": "child", "queueName": shop.name, "data": {}}
    parent = {"name": "parent", "queueName": shop.name, "data": {}, "children": [child]}
    shop.run(
        ["addBulk", [{"name": "x", "data": {}, "opts": {}}]],
        ["process", 1, {"leaveActive": True}],
        ["addFlow", parent],
        ["add", "x", {}, {"delay": 3_600_000}],
        ["add", "x", {}, {"priority": 3}],
        yearly(shop.major),
        ["job", "1", "log", "a line"],
    )
    found = await inventory_of(connection, shop)
    assert (found.orphans, found.residue, found.unknown_keys) == ((), (), ())


@EVERY_MAJOR
async def test_a_job_that_fell_out_of_every_index_is_an_orphan(
    connection: RedisConnection, shop: Shop
) -> None:
    """And its parts are not swept as remains of a dead one."""
    shop.run(["add", "x", {}, {}], ["job", "1", "log", "a line"])
    shop.raw.delete(f"{shop.base}wait")
    found = await inventory_of(connection, shop)
    assert (found.orphans, found.residue) == (("1",), ())


@majors_with(Feature.PAUSED_LIST)
@pytest.mark.parametrize("newer", [Major.V6, Major.PYTHON])
async def test_jobs_that_two_pauses_of_different_majors_lose_are_orphans(
    connection: RedisConnection, shop: Shop, newer: Major
) -> None:
    """The older renames wait to paused, and over what the newer one left in paused: a queue with
    nothing to do, by every count, and three acknowledged jobs.
    """
    shop.run(["addBulk", bullmq.jobs(3)], ["pause"])
    shop.by(newer).run(["addBulk", bullmq.jobs(1)])
    shop.run(["pause"], ["resume"], ["process", 9])
    assert (await read_queue(connection, shop.base)).counts == QueueCounts(completed=1)
    assert (await inventory_of(connection, shop)).orphans == ("1", "2", "3")


async def test_a_job_that_a_worker_takes_for_a_marker_is_not_lost_unseen(
    connection: RedisConnection, shop: Shop
) -> None:
    """Python's producer takes an id like that of v4's markers; its worker then drops the job."""
    python = shop.by(Major.PYTHON)
    python.run(["add", "x", {}, {"jobId": "0:5"}])
    assert (await read_queue(connection, shop.base)).counts == QueueCounts(waiting=1)
    assert python.run(["process", 1]) == [[]]
    assert (await read_queue(connection, shop.base)).counts == QueueCounts()
    assert (await inventory_of(connection, shop)).unknown_keys == (f"{shop.base}0:5",)


@majors_with(Feature.DEDUPLICATION)
async def test_an_add_that_an_older_worker_forgets_is_reported(
    connection: RedisConnection, shop: Shop
) -> None:
    """A newer producer's second add waits for the end of the first job; the worker that ends it
    does not know of that, and every count is 0.
    """
    options = {"deduplication": {"id": "k", "keepLastIfActive": True}}
    add, end = ["add", "x", {}, options], ["job", "1", "moveToCompleted", "done", "script", False]
    older = shop.by(Major.V4)
    shop.run(add)
    older.run(["process", 1, {"leaveActive": True}])
    shop.run(add)
    older.run(end)
    assert (await read_queue(connection, shop.base)).counts == QueueCounts(completed=1)
    assert (await inventory_of(connection, shop)).pending_deduplicated == ("k",)


@majors_with(Feature.DEDUPLICATION)
async def test_an_acknowledged_add_that_is_no_job_yet_is_reported(
    connection: RedisConnection, shop: Shop
) -> None:
    options = {"deduplication": {"id": "k", "keepLastIfActive": True}}
    shop.run(
        ["add", "x", {}, options], ["process", 1, {"leaveActive": True}], ["add", "x", {}, options]
    )
    found = await inventory_of(connection, shop)
    assert found.pending_deduplicated == ("k",)


async def test_remains_of_finished_jobs_are_residue_with_their_parts(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.finish(2)
    shop.run(["job", "1", "log", "a line"])
    shop.raw.zrem(f"{shop.base}completed", "1")
    shop.raw.rpush(f"{shop.base}77:logs", "written by a worker after the job was removed")
    shop.raw.hset(f"{shop.base}78", mapping={"failedReason": "late", "atm": "1"})
    shop.raw.set(f"{shop.base}de:k", "2", ex=600)
    shop.raw.set(f"{shop.base}limiter", "1", ex=600)
    shop.raw.hset(f"{shop.base}repeat:gone", "every", "5")
    found = await inventory_of(connection, shop)
    names = ("1", "1:logs", "77:logs", "78", "de:k", "limiter", "repeat:gone")
    assert found.residue == tuple(sorted(f"{shop.base}{name}" for name in names))
    assert (found.orphans, found.unknown_keys) == ((), ())


@EVERY_MAJOR
async def test_a_failed_child_that_a_parent_elsewhere_waits_for_is_reported(
    connection: RedisConnection, shop: Shop
) -> None:
    parent = fail_child_of_parent_elsewhere(shop)
    found = await inventory_of(connection, shop)
    assert found.parents_elsewhere == (("child", parent),)


def fail_child_of_parent_elsewhere(shop: Shop) -> str:
    """Returns the parent's key."""
    flow = node("bills/v1", "parent", node(shop.name, "child"))
    shop.run(["addFlow", flow], ["process", 1, FAILING])
    return "bull:bills/v1:parent"


@EVERY_MAJOR
async def test_a_child_that_was_done_for_a_parent_elsewhere_stands_against_nothing(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.run(["addFlow", node("bills/v1", "parent", node(shop.name, "child"))], ["process", 1])
    found = await inventory_of(connection, shop)
    assert (found.finished_jobs, found.parents_elsewhere, found.unknown_keys) == (1, (), ())


@EVERY_MAJOR
async def test_a_failed_child_of_a_parent_in_the_same_queue_is_not_elsewhere(
    connection: RedisConnection, shop: Shop
) -> None:
    """The parent itself is unfinished, and counted."""
    flow = node(shop.name, "parent", node(shop.name, "child"))
    shop.run(["addFlow", flow], ["process", 1, FAILING])
    assert (await inventory_of(connection, shop)).parents_elsewhere == ()
    counts = (await read_queue(connection, shop.base)).counts
    assert counts == QueueCounts(waiting_children=1, failed=1)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param("groups", "zset", id="BullMQ Pro's groups"),
        pytest.param("7", "string", id="a string where a job would be"),
        pytest.param("note", "hash", id="a hash of fields that no job has"),
        pytest.param("7:notes", "list", id="a part that no job has"),
        pytest.param("7:logs", "string", id="a part of another type"),
        pytest.param("1:logs", "string", id="a finished job's part of another type"),
        pytest.param("1:notes", "list", id="a finished job's part that no job has"),
        pytest.param("de:k", "hash", id="a deduplication key of another type"),
        pytest.param("a:b", "hash", id="a name with a colon"),
    ],
)
async def test_what_bullmq_does_not_write_is_unknown(
    connection: RedisConnection, shop: Shop, name: str, kind: str
) -> None:
    shop.finish(1)
    key = f"{shop.base}{name}"
    match kind:
        case "zset":
            shop.raw.zadd(key, {"a": 1})
        case "hash":
            shop.raw.hset(key, "text", "a")
        case "list":
            shop.raw.rpush(key, "a")
        case _:
            shop.raw.set(key, "a")
    found = await inventory_of(connection, shop)
    assert (found.unknown_keys, found.residue) == ((key,), ())


async def test_among_very_many_finished_jobs_nothing_remarkable_is_missed(
    connection: RedisConnection, shop: Shop
) -> None:
    """The walk leaves finished jobs and their parts in Redis, many steps long."""
    shop.finish(1, failed=1)
    job = shop.raw.hgetall(f"{shop.base}1")
    pipe = shop.raw.pipeline(transaction=False)
    for number in range(1000):
        state = "completed" if number % 2 else "failed"
        pipe.hset(f"{shop.base}many-{number}", mapping=job)
        pipe.zadd(f"{shop.base}{state}", {f"many-{number}": number})
        pipe.rpush(f"{shop.base}many-{number}:logs", "a line")
        pipe.hset(f"{shop.base}many-{number}:processed", "bull:bills:1", "1")
    pipe.hset(f"{shop.base}lost", mapping={"timestamp": "1"})
    pipe.rpush(f"{shop.base}gone:logs", "a line")
    pipe.set(f"{shop.base}many-7:lock:er", "1")
    pipe.execute()
    parent = fail_child_of_parent_elsewhere(shop)
    found = await inventory_of(connection, shop)
    assert found.finished_jobs == 1003
    assert found.orphans == ("lost",)
    assert found.residue == (f"{shop.base}gone:logs",)
    assert found.unknown_keys == (f"{shop.base}many-7:lock:er",)
    assert found.parents_elsewhere == (("child", parent),)


@EVERY_MAJOR
async def test_a_queue_whose_prefix_is_our_name_is_foreign(
    connection: RedisConnection, shop: Shop
) -> None:
    ours, theirs = shop.other("shop"), shop.other("orders", "bull:shop")
    deeper = shop.other("orders", "bull:shop:eu")
    ours.finish(1)
    theirs.finish(2, failed=1)
    deeper.run(["add", "x", {}, {}])
    found = await inventory_of(connection, ours)
    assert found.foreign_queues == ("bull:shop:eu:orders", "bull:shop:orders")
    assert (found.residue, found.orphans, found.unknown_keys) == ((), (), ())


@EVERY_MAJOR
async def test_jobs_of_a_queue_that_lost_its_meta_are_not_ours_to_sweep(
    connection: RedisConnection, shop: Shop
) -> None:
    ours, theirs = shop.other("shop"), shop.other("orders", "bull:shop")
    ours.finish(1)
    theirs.finish(1)
    shop.raw.delete(f"{theirs.base}meta", f"{theirs.base}id")
    found = await inventory_of(connection, ours)
    assert found.residue == ()
    assert f"{theirs.base}1" in found.unknown_keys


@majors_with(Feature.DEDUPLICATION)
async def test_a_deduplication_id_may_be_called_id(connection: RedisConnection, shop: Shop) -> None:
    shop.run(["add", "x", {}, {"deduplication": {"id": "id", "ttl": 600_000}}], ["process", 1])
    found = await inventory_of(connection, shop)
    assert found.foreign_queues == ()
    assert found.residue == (f"{shop.base}de:id",)


@pytest.mark.parametrize("name", ["or*", "[ab]", "a?c", "back\\slash", "[!a]", "späße"])
async def test_glob_characters_in_a_name_stand_for_themselves(
    connection: RedisConnection, shop: Shop, name: str
) -> None:
    special = shop.other(name)
    special.finish(1)
    shop.raw.set(f"{special.base}de:mine", "1")
    for near in ("orders", "a", "b", "abc", "!"):
        shop.raw.set(f"bull:{near}:de:theirs", "1")
    found = await inventory_of(connection, special)
    assert (found.finished_jobs, found.residue) == (1, (f"{special.base}de:mine",))


async def test_names_that_only_begin_alike_are_not_looked_at(
    connection: RedisConnection, shop: Shop
) -> None:
    ours = shop.other("orders/v2")
    ours.finish(1)
    for name in ("orders/v20", "orders/v2-eu"):
        shop.raw.set(f"bull:{name}:de:k", "1")
    found = await inventory_of(connection, ours)
    assert (found.residue, found.foreign_queues, found.unknown_keys) == ((), (), ())


@majors_with(Feature.LIMITS)
async def test_settings_are_kept_and_bookkeeping_is_not(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.run(["setGlobalConcurrency", 1], ["setGlobalRateLimit", 10, 1000], ["pause"])
    found = await inventory_of(connection, shop)
    assert found.settings == (("concurrency", "1"), ("duration", "1000"), ("max", "10"))


async def test_a_key_that_is_no_utf8_is_reported_not_stumbled_over(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.raw.set(b"bull:orders/v1:\xff", "1")
    found = await inventory_of(connection, shop)
    assert [name.encode(errors="surrogateescape") for name in found.unknown_keys] == [
        b"bull:orders/v1:\xff"
    ]


def test_lua_and_python_know_the_same_fixed_keys() -> None:
    text = load("close").text
    listed = text[text.index("local FIXED = {") : text.index("local function fixedKeys")]
    assert tuple(listed.split("'")[1::2]) == keys.FIXED


def test_lua_and_python_know_the_same_parts_of_a_job() -> None:
    text = load("slice").text
    listed = text[text.index("local JOB_PARTS = {") : text.index("local function addOwnParts")]
    assert dict(re.findall(r"(\w+) = '(\w+)'", listed)) == keys.JOB_PARTS


def test_includes_go_in_once() -> None:
    text = load("slice").text
    assert "--@include" not in text
    assert text.count("local function unfinishedCounts") == 1
