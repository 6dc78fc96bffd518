"""Reading many queues: every state is counted, nothing is written, one bad queue harms no other."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import redis

from bullmq_operator.domain.counts import QueueCounts, QueueReading, Unknown, UnknownReason
from bullmq_operator.queues.connection import ConnectionSettings, RedisConnection, connect
from bullmq_operator.queues.counts import read_queue, read_queues
from devcluster import bullmq
from devcluster.bullmq import Major
from devcluster.redis_server import RedisServer
from tests.integration.queues.features import (
    EVERY_MAJOR,
    LATER,
    Feature,
    has,
    majors_with,
    node,
    yearly,
)
from tests.integration.queues.support import FAILING, Shop

pytestmark = pytest.mark.redis


def fill_every_state(shop: Shop) -> None:
    child = {"name": "child", "queueName": shop.name, "data": {}}
    parent = {"name": "parent", "queueName": shop.name, "data": {}, "children": [child]}
    shop.run(
        ["addBulk", bullmq.jobs(6)],
        ["process", 3],
        ["process", 1, FAILING],
        ["process", 2, {"leaveActive": True}],
        ["addFlow", parent],
        ["addBulk", bullmq.jobs(4, opts={"delay": 3_600_000})],
        ["addBulk", bullmq.jobs(5, opts={"priority": 7})],
        yearly(shop.major),
    )


EVERY_STATE = QueueCounts(
    waiting=1,  # the child
    active=2,
    delayed=5,  # with the next job of the schedule
    prioritized=5,
    waiting_children=1,
    schedulers=1,
    completed=3,
    failed=1,
)


@EVERY_MAJOR
async def test_each_state_of_a_real_queue_is_counted(
    connection: RedisConnection, shop: Shop
) -> None:
    fill_every_state(shop)
    assert (await read_queue(connection, shop.base)).counts == EVERY_STATE


@EVERY_MAJOR
async def test_counting_writes_nothing(connection: RedisConnection, shop: Shop) -> None:
    fill_every_state(shop)
    shop.raw.lpush(f"{shop.base}wait", "0:0")
    before = (shop.snapshot(), shop.raw.info("persistence")["rdb_changes_since_last_save"])
    await read_queues(connection, [shop.base, "bull:none:"], [shop.base])
    after = (shop.snapshot(), shop.raw.info("persistence")["rdb_changes_since_last_save"])
    assert after == before


@EVERY_MAJOR
async def test_the_jobs_of_a_paused_queue_are_unfinished_wherever_they_wait(
    connection: RedisConnection, shop: Shop
) -> None:
    """v4 and v5 rename wait to paused; the default counts of v6 and of Python then say 0."""
    shop.run(["addBulk", bullmq.jobs(5)], ["pause"])
    reading = await read_queue(connection, shop.base)
    in_list = has(shop.major, Feature.PAUSED_LIST)
    expected = QueueCounts(paused=5) if in_list else QueueCounts(waiting=5)
    assert (reading.counts, reading.is_paused) == (expected, True)


@majors_with(Feature.PAUSED_LIST)
async def test_jobs_that_an_old_bullmq_paused_are_unfinished_though_new_workers_see_none(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.run(["addBulk", bullmq.jobs(5)], ["pause"])
    new = shop.by(Major.V6)
    with new.worker():
        assert new.run(["getWaitingCount"], ["count"]) == [0, 0]
        assert (await read_queue(connection, shop.base)).counts == QueueCounts(paused=5)


@majors_with(Feature.PAUSED_LIST)
@pytest.mark.parametrize("newer", [Major.V6, Major.PYTHON])
async def test_what_an_old_bullmq_paused_a_new_one_resumes(
    connection: RedisConnection, shop: Shop, newer: Major
) -> None:
    """The remedy that is told, whoever carries it out."""
    shop.run(["addBulk", bullmq.jobs(5)], ["pause"])
    shop.by(newer).run(["resume"])
    reading = await read_queue(connection, shop.base)
    assert (reading.counts, reading.is_paused) == (QueueCounts(waiting=5), False)


@EVERY_MAJOR
async def test_a_job_that_waits_for_its_next_attempt_is_unfinished(
    connection: RedisConnection, shop: Shop
) -> None:
    options = {"attempts": 3, "backoff": {"type": "fixed", "delay": LATER}}
    shop.run(["add", "x", {}, options], ["process", 1, FAILING])
    assert (await read_queue(connection, shop.base)).counts == QueueCounts(delayed=1)


@EVERY_MAJOR
async def test_a_parent_whose_child_is_in_another_queue_is_unfinished(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.run(["addFlow", node(shop.name, "parent", node("mails/v1", "child"))])
    assert (await read_queue(connection, shop.base)).counts == QueueCounts(waiting_children=1)


@majors_with(Feature.WAIT_MARKERS)
@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("jobs_added", [0, 2047], ids=["whole", "with a fraction"])
async def test_a_marker_that_bullmq_wrote_is_no_job(
    connection: RedisConnection, shop: Shop, paused: bool, jobs_added: int
) -> None:
    """The job's id is in the marker's time: the 2048th is half a millisecond."""
    shop.raw.set(f"{shop.base}id", jobs_added)
    shop.run(["add", "x", {}, {"delay": LATER}], *([["pause"]] if paused else []))
    [marker] = shop.raw.lrange(f"{shop.base}{'paused' if paused else 'wait'}", 0, -1)
    assert str(marker).startswith("0:")
    assert (await read_queue(connection, shop.base)).counts == QueueCounts(delayed=1)


@pytest.mark.parametrize("name", ["wait", "paused"])
@pytest.mark.parametrize(
    ("elements", "jobs"),
    [
        pytest.param(["0:0"], 0, id="only a marker"),
        pytest.param(["0:1795413600000", "7"], 1, id="a marker before a job"),
        pytest.param(["7", "0:0"], 1, id="a marker after a job"),
        pytest.param(["0:x", "0:"], 2, id="ids that only look like a marker"),
        pytest.param(["0:0", *map(str, range(1, 41)), "0:9"], 40, id="both ends of a long list"),
    ],
)
async def test_markers_of_v4_are_no_jobs(
    connection: RedisConnection, shop: Shop, name: str, elements: list[str], jobs: int
) -> None:
    shop.raw.rpush(f"{shop.base}{name}", *elements)
    assert (await read_queue(connection, shop.base)).counts.unfinished == jobs


async def test_a_job_that_is_named_like_a_marker_is_a_job(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.raw.rpush(f"{shop.base}wait", "0:5")
    shop.raw.hset(f"{shop.base}0:5", "timestamp", "1")
    assert (await read_queue(connection, shop.base)).counts.waiting == 1


async def test_a_queue_that_never_was_has_no_keys_and_no_id(connection: RedisConnection) -> None:
    reading = await read_queue(connection, "bull:none:")
    assert (reading.counts, reading.has_keys, reading.jobs_added, reading.stamp) == (
        QueueCounts(),
        False,
        None,
        None,
    )


@EVERY_MAJOR
async def test_a_queue_of_which_only_workers_know_has_keys_but_no_id(
    connection: RedisConnection, shop: Shop
) -> None:
    with shop.worker(STALLED_MS="500"):
        reading = await reading_with_keys(connection, shop)
    assert (reading.counts, reading.jobs_added) == (QueueCounts(), None)


async def reading_with_keys(connection: RedisConnection, shop: Shop) -> QueueReading:
    """The first one: a Python worker writes nothing before its first look for stalled jobs."""
    async with asyncio.timeout(20):
        while True:
            reading = await read_queue(connection, shop.base)
            if reading.has_keys:
                return reading
            await asyncio.sleep(0.02)


@EVERY_MAJOR
async def test_keys_that_were_flushed_can_be_told_from_jobs_that_were_done(
    connection: RedisConnection, shop: Shop
) -> None:
    """Nothing is unfinished either way; the counter of what was ever added is what tells."""
    shop.finish(2)
    done = await read_queue(connection, shop.base)
    shop.raw.flushall()
    flushed = await read_queue(connection, shop.base)
    assert (done.counts.unfinished, done.jobs_added) == (0, 2)
    assert (flushed.counts.unfinished, flushed.jobs_added) == (0, None)


@EVERY_MAJOR
async def test_a_flushed_queue_is_told_too_when_workers_wrote_keys_again(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.finish(2)
    shop.raw.flushall()
    with shop.worker(STALLED_MS="500"):
        flushed = await reading_with_keys(connection, shop)
    assert (flushed.counts, flushed.jobs_added) == (QueueCounts(), None)


@EVERY_MAJOR
async def test_the_reading_tells_adds_redis_time_and_the_stamp_that_was_asked_for(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.run(["addBulk", bullmq.jobs(3)])
    other = shop.other("orders/v2")
    other.run(["addBulk", bullmq.jobs(1)])
    readings = await read_queues(connection, [shop.base, other.base], frozenset({other.base}))
    one, two = readings[shop.base], readings[other.base]
    assert isinstance(one, QueueReading)
    assert isinstance(two, QueueReading)
    assert (one.jobs_added, one.stamp, two.jobs_added) == (3, None, 1)
    assert two.stamp == shop.raw.xinfo_stream(f"{other.base}events")["last-generated-id"]
    assert one.redis_time is not None
    assert abs(one.redis_time - datetime.now(UTC)) < timedelta(minutes=1)


@EVERY_MAJOR
async def test_the_stamp_survives_a_trim_to_nothing_and_moves_on_a_retry(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.finish(0, failed=1)
    proof = (await read_queue(connection, shop.base)).stamp
    shop.raw.xtrim(f"{shop.base}events", maxlen=0, approximate=False)
    assert (await read_queue(connection, shop.base)).stamp == proof
    shop.run(["job", "1", "retry"], ["process", 1, FAILING])
    later = await read_queue(connection, shop.base)
    assert later.counts == QueueCounts(failed=1)
    assert later.jobs_added == 1
    assert later.stamp != proof


async def test_a_key_of_the_wrong_type_makes_one_queue_unknown_and_no_other(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.run(["addBulk", bullmq.jobs(2)])
    shop.raw.set("bull:broken:wait", "text")
    readings = await read_queues(connection, ["bull:broken:", shop.base])
    broken, sound = readings["bull:broken:"], readings[shop.base]
    assert isinstance(broken, Unknown)
    assert broken.reason is UnknownReason.WRONG_TYPE
    assert "bull:broken" in broken.message
    assert isinstance(sound, QueueReading)
    assert sound.counts.waiting == 2


async def test_an_id_that_is_no_number_is_unknown(connection: RedisConnection, shop: Shop) -> None:
    shop.raw.set(f"{shop.base}id", "retired")
    reading = (await read_queues(connection, [shop.base]))[shop.base]
    assert isinstance(reading, Unknown)
    assert reading.reason is UnknownReason.WRONG_TYPE


async def test_a_flushed_script_cache_goes_unnoticed(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.run(["addBulk", bullmq.jobs(2)])
    first = await read_queue(connection, shop.base)
    shop.raw.script_flush()
    assert (await read_queue(connection, shop.base)).counts == first.counts


async def test_more_queues_than_one_call_holds_are_all_read(
    connection: RedisConnection, raw: redis.Redis
) -> None:
    bases = [f"bull:q{i}:" for i in range(250)]
    for i, base in enumerate(bases):
        raw.set(f"{base}id", i)
    readings = await read_queues(connection, bases)
    assert [getattr(readings[base], "jobs_added", None) for base in bases] == list(range(250))


async def test_no_queues_need_no_call(connection: RedisConnection) -> None:
    assert await read_queues(connection, []) == {}


async def test_a_user_who_may_only_read_is_enough() -> None:
    rule = "reader on >secret %R~* resetchannels +@read +evalsha +eval +script|load +time"
    with RedisServer(users=(rule,)) as server:
        connection = connect(ConnectionSettings(url=server.url_for("reader", "secret")))
        shop = Shop(server.url, server.client())
        shop.run(["addBulk", bullmq.jobs(2)])
        reading = await read_queue(connection, shop.base)
        assert reading.counts == QueueCounts(waiting=2)
        assert reading.stamp is not None
        await connection.close()
        shop.raw.close()


async def test_a_user_who_may_not_read_one_queue_still_reads_the_others() -> None:
    rule = "reader on >secret ~bull:mine:* +@all"
    with RedisServer(users=(rule,)) as server:
        connection = connect(ConnectionSettings(url=server.url_for("reader", "secret")))
        readings = await read_queues(connection, ["bull:mine:", "bull:theirs:"])
        assert isinstance(readings["bull:mine:"], QueueReading)
        theirs = readings["bull:theirs:"]
        assert isinstance(theirs, Unknown)
        assert theirs.reason is UnknownReason.FORBIDDEN
        await connection.close()
