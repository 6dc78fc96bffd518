"""What a migration leaves, refuses and never touches."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest

from bullmq_operator.domain.counts import UnknownReason
from bullmq_operator.domain.migration import MigrationRefusal
from bullmq_operator.domain.names import Backend, QueueId, RedisSource
from bullmq_operator.queues.connection import ConnectionSettings, RedisConnection, connect
from bullmq_operator.queues.counts import read_queue
from bullmq_operator.queues.errors import QueueReadError
from bullmq_operator.queues.inventory import take_inventory
from bullmq_operator.queues.migration import MOST_LOOKS, migrate_queue
from devcluster import bullmq
from devcluster.redis_cluster import RedisCluster
from devcluster.redis_server import RedisServer
from tests.integration.queues.features import (
    EVERY_MAJOR,
    LATER,
    Feature,
    majors_with,
    node,
    yearly,
)
from tests.integration.queues.moving import Move, left, only
from tests.integration.queues.support import FAILING, Shop, queue_id
from tests.integration.queues.test_migration import pending_behind_a_job_that_was_active

pytestmark = pytest.mark.redis


@pytest.fixture
def move(connection: RedisConnection, shop: Shop) -> Move:
    return Move.of(connection, shop)


@EVERY_MAJOR
async def test_an_active_job_is_never_moved(move: Move) -> None:
    move.source.run(["addBulk", bullmq.jobs(2)], ["process", 1, {"leaveActive": True}])
    job = move.source.raw.dump(f"{move.source.base}1")
    outcome = await move()
    assert (outcome.migrated_jobs, left(outcome)) == (1, {"Active": 1})
    assert move.source.raw.dump(f"{move.source.base}1") == job
    assert move.source.raw.lrange(f"{move.source.base}active", 0, -1) == ["1"]


@EVERY_MAJOR
async def test_finished_jobs_stay(move: Move) -> None:
    move.source.finish(2, failed=1)
    before = move.source.snapshot()
    assert await move.all() == 0
    assert move.source.snapshot() == before


@EVERY_MAJOR
async def test_a_schedulers_next_job_stays_with_its_scheduler(move: Move) -> None:
    move.source.run(yearly(move.source.major), ["addBulk", bullmq.jobs(1)])
    before = move.source.raw.zrange(f"{move.source.base}delayed", 0, -1)
    outcome = await move()
    assert (outcome.migrated_jobs, left(outcome)) == (1, {"SchedulersNext": 1, "Schedulers": 1})
    assert move.source.raw.zrange(f"{move.source.base}delayed", 0, -1) == before
    assert list(outcome.left[0].examples) == before


@majors_with(Feature.SCHEDULERS)
async def test_a_job_that_its_scheduler_left_behind_is_moved_as_any_other(move: Move) -> None:
    move.source.run(["upsertJobScheduler", "often", {"every": LATER}, {"name": "n"}])
    raw: Any = move.source.raw
    (first,) = raw.lrange(f"{move.source.base}wait", 0, -1)
    raw.delete(f"{move.source.base}repeat", f"{move.source.base}repeat:often")
    moved = "v1-" + first.replace(":", "-")
    assert await move.all() == 1
    move.target.run(["upsertJobScheduler", "often", {"every": LATER}, {"name": "n"}])
    assert move.work(1) == [moved]
    assert raw.zcard(f"{move.target.base}delayed") + raw.llen(f"{move.target.base}wait") == 1


@majors_with(Feature.FAILED_CHILDREN)
async def test_a_parent_with_a_child_that_is_not_done_stays_until_it_is(move: Move) -> None:
    """A failed child sent it to waiting, while its sister is still to come."""
    children = move.source.other("children")
    failing = node("children", "c", failParentOnFailure=True)
    sister = node("orders/v1", "s", delay=LATER)
    children.run(["addFlow", node("orders/v1", "p", failing, sister)], ["process", 1, FAILING])
    first = await move()
    assert (first.migrated_jobs, left(first)) == (1, {"PendingChildren": 1})
    assert only(first).examples == ("p",)
    move.target.run(["job", "s", "promote"])
    assert move.work() == ["s"]
    assert await move.all() == 1


@EVERY_MAJOR
async def test_a_parent_with_too_many_children_stays(move: Move) -> None:
    """Written by hand: 501 results in a job that waits."""
    move.source.run(["addBulk", bullmq.jobs(2, opts={"delay": LATER})])
    results: dict[Any, Any] = {f"bull:children:{number}": "1" for number in range(501)}
    move.source.raw.hset(f"{move.source.base}1:processed", mapping=results)
    outcome = await move()
    assert (outcome.migrated_jobs, left(outcome)) == (1, {"TooManyChildren": 1})


@majors_with(Feature.DEDUPLICATION)
async def test_two_adds_that_wait_for_one_deduplication_id_are_not_made_one(move: Move) -> None:
    pending_behind_a_job_that_was_active(move.source, "k")
    pending_behind_a_job_that_was_active(move.target, "k")
    first = await move()
    assert (first.migrated_jobs, left(first)) == (0, {"PendingDeduplicated": 1})
    assert len(move.work()) == 2
    assert await move.all() == 1
    assert len(move.work()) == 2


@EVERY_MAJOR
async def test_jobs_behind_what_is_left_are_moved_in_order(move: Move) -> None:
    """Ids with no job behind them, written by hand between the first of the jobs."""
    move.source.run(["addBulk", bullmq.jobs(420)])
    raw: Any = move.source.raw
    wait = f"{move.source.base}wait"
    ghosts = [f"ghost{number}" for number in range(20)]
    for number, ghost in enumerate(ghosts):
        raw.linsert(wait, "AFTER", str(7 * number + 1), ghost)
    outcome = await move()
    assert (outcome.migrated_jobs, left(outcome)) == (420, {"NoJob": 20})
    assert raw.lrange(wait, 0, -1) == ghosts[::-1]
    assert move.work() == [f"v1-{number}" for number in range(1, 421)]


@EVERY_MAJOR
async def test_an_id_listed_twice_is_moved_once(move: Move) -> None:
    move.source.run(["addBulk", bullmq.jobs(3)])
    move.source.raw.lpush(f"{move.source.base}wait", "2")
    outcome = await move()
    assert (outcome.migrated_jobs, left(outcome)) == (3, {"NoJob": 1})
    assert move.work() == ["v1-1", "v1-2", "v1-3"]


@EVERY_MAJOR
async def test_keys_that_nobody_knows_stay_and_the_inventory_names_them(move: Move) -> None:
    move.source.run(["addBulk", bullmq.jobs(1)])
    raw: Any = move.source.raw
    raw.zadd(f"{move.source.base}groups", {"a": 1})
    raw.hset(f"{move.source.base}orphan", mapping={"name": "x", "timestamp": "1"})
    assert await move.all() == 1
    found = await take_inventory(move.connection, move.source.queue)
    assert found.unknown_keys == (f"{move.source.base}groups",)
    assert found.orphans == ("orphan",)


@EVERY_MAJOR
async def test_a_queue_that_is_called_like_a_job_keeps_its_failed_jobs(move: Move) -> None:
    foreign = move.source.other("1", "bull:orders/v1")
    foreign.finish(1, failed=2)
    move.source.run(["addBulk", bullmq.jobs(2)])
    before = foreign.snapshot()
    assert await move.all() == 2
    assert foreign.snapshot() == before


@EVERY_MAJOR
async def test_other_queues_are_left_alone(move: Move) -> None:
    near = [move.source.other(name) for name in ("orders/v10", "orders/v1-eu", "orders/v20")]
    for queue in near:
        queue.run(["addBulk", bullmq.jobs(2)])
    move.source.run(["addBulk", bullmq.jobs(2)])
    before = [queue.snapshot() for queue in near]
    assert await move.all() == 2
    assert [queue.snapshot() for queue in near] == before


@EVERY_MAJOR
async def test_jobs_that_are_added_meanwhile_are_moved_too(move: Move) -> None:
    """By a producer that was open before; each job is worked on once, here or there."""
    move.source.run(["addBulk", bullmq.jobs(300)])
    steps = [["add", "x", {}, {"jobId": f"late{number}"}] for number in range(150)]
    producer = asyncio.create_task(asyncio.to_thread(move.source.run, *steps))
    moved = 0
    while not producer.done():
        moved += (await move()).migrated_jobs
    await producer
    moved += await move.all()
    done = move.work()
    assert (moved, len(done), len(set(done))) == (450, 450, 450)
    assert {job for job in done if job.startswith("late")} == {f"late{n}" for n in range(150)}


@EVERY_MAJOR
async def test_beside_live_workers_and_producers_of_both_queues_each_job_is_done_once(
    move: Move,
) -> None:
    def adds(what: str) -> list[list[Any]]:
        return [["add", "x", {"token": f"{what}{number}"}, {}] for number in range(80)]

    with move.source.worker(), move.target.worker():
        producers = asyncio.gather(
            asyncio.to_thread(move.source.run, *adds("old")),
            asyncio.to_thread(move.target.run, *adds("new")),
        )
        while not producers.done():
            await move()
        await producers
        async with asyncio.timeout(60):
            while len(finished(move)) < 160:
                await move()
                await asyncio.sleep(0.05)
    done = finished(move)
    assert sorted(done) == sorted(json.dumps(add[2]) for add in adds("old") + adds("new"))


def finished(move: Move) -> list[str]:
    """The data of every completed job."""
    raw: Any = move.source.raw
    return [
        json.dumps(json.loads(raw.hget(f"{shop.base}{job}", "data")))
        for shop in (move.source, move.target)
        for job in raw.zrange(f"{shop.base}completed", 0, -1)
    ]


async def test_a_producer_that_never_pauses_does_not_hold_it_for_ever(move: Move) -> None:
    move.source.run(["addBulk", bullmq.jobs(1)])
    added = [1]

    def feed(_: object) -> None:
        move.source.run(["addBulk", bullmq.jobs(1)])
        added.append(1)

    outcome = await move(feed)
    assert outcome.still_fed
    assert MOST_LOOKS < outcome.migrated_jobs == len(added) - 1
    waiting = (await read_queue(move.connection, move.source.base)).counts.waiting
    assert waiting == 1, "what came after the last look is a late job"


@pytest.mark.parametrize(
    ("target", "refusal"),
    [
        pytest.param(queue_id("orders/v1"), MigrationRefusal.SAME_QUEUE, id="to itself"),
        pytest.param(
            QueueId(Backend("shop", RedisSource(url="redis://other")), "bull", "orders/v2"),
            MigrationRefusal.ANOTHER_REDIS,
            id="to another Redis",
        ),
    ],
)
async def test_what_cannot_be_is_refused_before_anything_is_touched(
    connection: RedisConnection, shop: Shop, target: QueueId, refusal: MigrationRefusal
) -> None:
    shop.run(["addBulk", bullmq.jobs(1)])
    before = shop.snapshot()
    outcome = await migrate_queue(connection, shop.queue, target, id_prefix="v1-")
    assert (outcome.refused, outcome.migrated_jobs) == (refusal, 0)
    assert "orders/v1" in outcome.message
    assert shop.snapshot() == before


async def test_within_one_slot_of_a_cluster_jobs_are_moved_and_else_refused() -> None:
    with RedisCluster() as cluster, cluster.client() as raw:
        shop = Shop(cluster.bullmq_url, cast(Any, raw), "orders/v1", "{shop}")
        shop.run(["addBulk", bullmq.jobs(3)])
        connection = connect(ConnectionSettings(url=cluster.url, topology="Cluster"))
        far, near = queue_id("orders/v2", "{other}"), queue_id("orders/v2", "{shop}")
        refused = await migrate_queue(connection, shop.queue, far, id_prefix="v1-")
        moved = await migrate_queue(connection, shop.queue, near, id_prefix="v1-")
        await connection.close()
        done = shop.other("orders/v2", "{shop}").run(["process", 9])
    assert refused.refused is MigrationRefusal.ANOTHER_SLOT
    assert "hash tag" in refused.message
    assert (moved.migrated_jobs, moved.left) == (3, ())
    assert done == [["v1-1", "v1-2", "v1-3"]]


@pytest.mark.parametrize("prefix", ["", "1", "a:b", "a b", ":"])
async def test_a_prefix_that_would_make_bad_ids_is_refused(move: Move, prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        await migrate_queue(move.connection, move.source.queue, move.target.queue, id_prefix=prefix)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        pytest.param("orders/v2:wait", "string", id="target's wait"),
        pytest.param("orders/v2:events", "string", id="target's events"),
        pytest.param("orders/v2:id", "text", id="target's id is no number"),
        pytest.param("orders/v2:delayed", "string", id="an index that is not its turn"),
        pytest.param("orders/v1:events", "string", id="source's events"),
    ],
)
async def test_a_key_of_a_wrong_type_stops_it_before_the_first_write(
    move: Move, key: str, kind: str
) -> None:
    """Redis does not take back what a script wrote before it failed."""
    move.source.run(["addBulk", bullmq.jobs(2)])
    move.source.raw.delete(f"bull:{key}")
    move.source.raw.set(f"bull:{key}", kind)
    before = move.source.snapshot() | move.target.snapshot()
    with pytest.raises(QueueReadError) as caught:
        await move()
    assert caught.value.reason is UnknownReason.WRONG_TYPE
    assert move.source.snapshot() | move.target.snapshot() == before


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param("~* +@all -xadd", id="no XADD"),
        pytest.param("~* +@all -lpush", id="no LPUSH"),
        pytest.param("~* +@all -ltrim", id="no LTRIM"),
        pytest.param("~* +@all -incrby", id="no INCRBY"),
        pytest.param("~bull:orders/v1:* +@all", id="no key of the target"),
        pytest.param("~bull:orders/v1:* %R~bull:orders/v2:* +@all", id="target read only"),
        pytest.param("~bull:orders/v2:* %R~bull:orders/v1:* +@all", id="source read only"),
    ],
)
async def test_a_right_that_is_missing_stops_it_before_the_first_write(rule: str) -> None:
    with RedisServer(users=(f"narrow on >secret {rule}",)) as server, server.client() as raw:
        shop = Shop(server.url, raw)
        connection = connect(ConnectionSettings(url=server.url_for("narrow", "secret")))
        move = Move.of(connection, shop)
        shop.run(["addBulk", bullmq.jobs(2)])
        before = shop.snapshot() | move.target.snapshot()
        with pytest.raises(QueueReadError) as caught:
            await move()
        await connection.close()
        assert caught.value.reason is UnknownReason.FORBIDDEN
        assert shop.snapshot() | move.target.snapshot() == before


@pytest.mark.parametrize(
    ("flow", "readable"),
    [
        pytest.param(node("parents", "p", node("orders/v1", "c")), "parents", id="a parent"),
        pytest.param(node("orders/v1", "p", node("children", "c")), "children", id="a child"),
    ],
)
async def test_a_relative_that_may_not_be_told_stops_it_before_the_first_write(
    flow: dict[str, Any], readable: str
) -> None:
    rule = f"narrow on >secret ~bull:orders/* %R~bull:{readable}:* +@all"
    with RedisServer(users=(rule,)) as server, server.client() as raw:
        shop = Shop(server.url, raw)
        connection = connect(ConnectionSettings(url=server.url_for("narrow", "secret")))
        move = Move.of(connection, shop)
        shop.run(["addBulk", bullmq.jobs(2)], ["addFlow", flow])
        if readable == "children":
            shop.other("children").run(["process", 1])
        before = shop.snapshot() | move.target.snapshot()
        with pytest.raises(QueueReadError) as caught:
            await move()
        await connection.close()
        assert caught.value.reason is UnknownReason.FORBIDDEN
        assert shop.snapshot() | move.target.snapshot() == before


async def test_a_server_that_is_out_of_memory_moves_a_batch_whole_or_not_at_all(
    move: Move,
) -> None:
    move.source.run(["addBulk", bullmq.jobs(300)])
    move.source.raw.config_set("maxmemory", 1)
    try:
        outcome = await move()
        moved = outcome.migrated_jobs
    except QueueReadError:
        moved = 0
    move.source.raw.config_set("maxmemory", 0)
    await move.all()
    assert moved in (0, 300)
    assert move.work() == [f"v1-{number}" for number in range(1, 301)]
