"""Jobs that move to another version's queue keep everything, for every BullMQ."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import pytest

from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.counts import read_queue
from devcluster import bullmq
from devcluster.bullmq import Major
from devcluster.waiting import wait_until
from tests.integration.queues.features import (
    EVERY_MAJOR,
    LATER,
    Feature,
    finish_everything,
    majors_with,
    node,
    use_everything,
)
from tests.integration.queues.moving import Move
from tests.integration.queues.support import FAILING, Shop

pytestmark = pytest.mark.redis


@pytest.fixture
def move(connection: RedisConnection, shop: Shop) -> Move:
    return Move.of(connection, shop)


@EVERY_MAJOR
async def test_waiting_jobs_keep_their_order_behind_those_of_the_target(move: Move) -> None:
    move.source.run(
        ["addBulk", bullmq.jobs(3)], ["add", "x", {}, {"lifo": True, "jobId": "urgent"}]
    )
    move.target.run(["add", "x", {}, {"jobId": "own"}])
    assert await move.all() == 4
    assert move.work() == ["own", "urgent", "v1-1", "v1-2", "v1-3"]


@EVERY_MAJOR
async def test_more_jobs_than_one_call_takes_keep_their_order(move: Move) -> None:
    move.source.run(["addBulk", bullmq.jobs(450)])
    assert await move.all() == 450
    assert move.work() == [f"v1-{number}" for number in range(1, 451)]


@EVERY_MAJOR
async def test_prioritized_jobs_keep_their_priority_and_their_order(move: Move) -> None:
    def prioritized(job: str, priority: int) -> list[Any]:
        return ["add", "x", {}, {"jobId": job, "priority": priority}]

    own = [f"own{number}" for number in range(9)]
    move.target.run(*(prioritized(job, 5) for job in own))
    move.source.run(*(prioritized(*one) for one in (("b5", 5), ("a9", 9), ("c5", 5), ("d1", 1))))
    assert await move.all() == 4
    assert move.work() == ["d1", *own, "b5", "c5", "a9"]


@EVERY_MAJOR
async def test_a_delayed_job_is_due_when_it_was(move: Move) -> None:
    move.source.run(["add", "x", {}, {"jobId": "later", "delay": LATER}])
    due = move.source.raw.zscore(f"{move.source.base}delayed", "later")
    assert await move.all() == 1
    assert move.target.raw.zscore(f"{move.target.base}delayed", "later") == due
    assert move.work() == []
    assert move.target.run(["job", "later", "promote"], ["process", 1])[1] == ["later"]


@EVERY_MAJOR
async def test_a_job_keeps_its_data_options_logs_progress_and_times(move: Move) -> None:
    options = {"jobId": "a", "removeOnComplete": 7, "attempts": 3, "delay": LATER}
    move.source.run(
        ["add", "x", {"deep": {"ü": [1.5, None, "\u0000"]}}, options],
        ["job", "a", "log", "first"],
        ["job", "a", "log", "second"],
        ["job", "a", "updateProgress", 50],
    )
    before = move.hash_of(move.source, "a")
    assert await move.all() == 1
    assert move.hash_of(move.target, "a") == before
    assert move.target.raw.lrange(f"{move.target.base}a:logs", 0, -1) == ["first", "second"]
    assert not move.source.raw.keys(f"{move.source.base}a*")


@pytest.mark.parametrize(
    ("producer", "worker"),
    [
        pytest.param(producer, worker, id=f"{producer} to {worker}")
        for producer, worker in itertools.product(Major, Major)
    ],
)
async def test_a_job_that_failed_before_has_its_attempts_left(
    connection: RedisConnection, shop: Shop, producer: Major, worker: Major
) -> None:
    """v4 counts attempts in another field than the later majors."""
    source = shop.by(producer)
    move = Move(connection, source, shop.other("orders/v2").by(worker))
    move.target.run(["getJobCounts"])
    source.run(["add", "x", {}, {"jobId": "a", "attempts": 3}], ["process", 1, FAILING])
    assert await move.all() == 1
    states = move.target.run(
        ["process", 1, FAILING],
        ["job", "a", "getState"],
        ["process", 1, FAILING],
        ["job", "a", "getState"],
    )
    assert states == [["a"], "waiting", ["a"], "failed"]


@EVERY_MAJOR
async def test_a_paused_source_gives_its_jobs_away(move: Move) -> None:
    move.source.run(["addBulk", bullmq.jobs(2)], ["pause"], ["addBulk", bullmq.jobs(1)])
    assert await move.all() == 3
    assert move.work() == ["v1-1", "v1-2", "v1-3"]


@EVERY_MAJOR
async def test_jobs_for_a_paused_target_wait_for_its_resumption(move: Move) -> None:
    """v5's resume renames one list over the other: what is in the wrong one would be gone."""
    move.source.run(["addBulk", bullmq.jobs(2)], ["add", "x", {}, {"priority": 3}])
    move.target.run(["add", "x", {}, {"jobId": "own"}], ["pause"])
    assert await move.all() == 3
    assert move.work() == []
    move.target.run(["resume"])
    assert move.work() == ["own", "v1-1", "v1-2", "v1-3"]


@EVERY_MAJOR
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="waiting"),
        pytest.param({"priority": 5}, id="prioritized"),
        pytest.param({"delay": LATER}, id="delayed"),
    ],
)
@pytest.mark.parametrize("is_paused", [False, True], ids=["running", "paused"])
async def test_workers_and_listeners_are_told_as_by_an_add(
    move: Move, options: dict[str, Any], is_paused: bool
) -> None:
    """A twin to which BullMQ itself added the job: the same markers, the same events."""
    twin = move.source.other("twin")
    steps = [["getJobCounts"], ["pause"]] if is_paused else [["getJobCounts"]]
    twin.run(*steps, ["add", "x", {}, options | {"jobId": "a"}])
    move.target.run(*steps)
    move.source.run(["add", "x", {}, options | {"jobId": "a"}])
    assert await move.all() == 1
    assert told(move.target) == told(twin)


def told(shop: Shop) -> tuple[Any, ...]:
    """Markers without their times, events without their ids and times."""
    raw: Any = shop.raw
    lists = [
        [str(one).partition(":")[0] for one in raw.lrange(f"{shop.base}{name}", 0, -1)]
        for name in ("wait", "paused")
    ]
    markers = raw.zrange(f"{shop.base}marker", 0, -1)
    entries = [entry for _, entry in raw.xrange(f"{shop.base}events")]
    return lists, markers, [{**entry, "delay": "delay" in entry} for entry in entries]


@majors_with(Feature.WAIT_MARKERS)
@pytest.mark.parametrize(
    ("own", "marks"),
    [
        pytest.param(LATER // 2, "own", id="target's is due first"),
        pytest.param(LATER * 2, "moved", id="moved one is due first"),
    ],
)
async def test_the_marker_of_v4_is_of_the_job_that_is_due_first(
    move: Move, own: int, marks: str
) -> None:
    """Also where it has a fraction: the job's id is in its time."""
    for shop in (move.source, move.target):
        shop.raw.set(f"{shop.base}id", 2047)
    move.source.run(["add", "x", {}, {"jobId": "moved", "delay": LATER}])
    move.target.run(["add", "x", {}, {"jobId": "own", "delay": own}])
    assert await move.all() == 1
    raw: Any = move.target.raw
    (marker,) = raw.lrange(f"{move.target.base}wait", 0, -1)
    due = raw.zscore(f"{move.target.base}delayed", marks) / 0x1000
    assert int(float(marker.removeprefix("0:"))) == int(due)


@EVERY_MAJOR
async def test_an_idle_worker_of_the_target_takes_what_is_moved(move: Move) -> None:
    move.source.run(
        ["addBulk", bullmq.jobs(2)],
        ["add", "x", {}, {"priority": 3}],
        ["add", "x", {}, {"delay": 1}],
    )
    raw: Any = move.target.raw
    with move.target.worker():
        assert await move.all() == 4
        await asyncio.to_thread(
            wait_until, lambda: raw.zcard(f"{move.target.base}completed") == 4, "the jobs", 60
        )


@EVERY_MAJOR
async def test_a_listener_of_the_source_hears_that_the_job_is_gone(move: Move) -> None:
    move.source.run(["add", "x", {}, {"jobId": "a"}])
    stamp = (await read_queue(move.connection, move.source.base)).stamp
    assert await move.all() == 1
    raw: Any = move.source.raw
    last = raw.xrevrange(f"{move.source.base}events", count=1)[0][1]
    assert last == {"event": "removed", "jobId": "a", "prev": "wait"}
    assert (await read_queue(move.connection, move.source.base)).stamp != stamp


@EVERY_MAJOR
async def test_a_parent_elsewhere_gets_the_result_of_a_child_that_moved(move: Move) -> None:
    parents = move.source.other("parents")
    parents.run(["addFlow", node("parents", "p", node("orders/v1", "c"))])
    assert await move.all() == 1
    assert move.work() == ["c"]
    assert parents.run(["job", "p", "getState"], ["job", "p", "getChildrenValues"]) == [
        "waiting",
        {"bull:orders/v2:c": "done"},
    ]


@EVERY_MAJOR
async def test_a_parent_comes_after_its_children(move: Move) -> None:
    move.source.run(["addFlow", node("orders/v1", "p", node("orders/v1", "c"))])
    first = await move()
    assert (first.migrated_jobs, [one.reason for one in first.left]) == (1, ["WaitingChildren"])
    assert move.work() == ["c"]
    assert await move.all() == 1
    assert move.work() == ["p"]


@EVERY_MAJOR
async def test_a_parent_that_moved_and_its_children_know_each_other(move: Move) -> None:
    children = move.source.other("children")
    children.run(["addFlow", node("orders/v1", "p", node("children", "c"))], ["process", 1])
    move.target.run(["add", "x", {}, {"jobId": "p"}])
    assert await move.all() == 1
    child = move.hash_of(children, "c")
    parent = json.loads(child["parent"])
    assert child["parentKey"] == "bull:orders/v2:v1-p"
    assert (parent["id"], parent["queueKey"]) == ("v1-p", "bull:orders/v2")
    values = move.target.run(["job", "v1-p", "getChildrenValues"])
    assert values == [{"bull:children:c": "done"}]


@majors_with(Feature.FAILED_CHILDREN)
async def test_a_child_that_is_retried_holds_up_the_parent_that_moved(move: Move) -> None:
    children = move.source.other("children")
    failing = node("children", "c", continueParentOnFailure=True)
    children.run(["addFlow", node("orders/v1", "p", failing)], ["process", 1, FAILING])
    assert await move.all() == 1
    children.run(["job", "c", "retry"])
    raw: Any = move.target.raw
    assert raw.smembers(f"{move.target.base}p:dependencies") == {"bull:children:c"}
    assert children.run(["process", 1]) == [["c"]]
    assert move.target.run(["job", "p", "getChildrenValues"]) == [{"bull:children:c": "done"}]


@majors_with(Feature.DEDUPLICATION)
async def test_a_job_still_owns_its_deduplication_id(move: Move) -> None:
    again = ["add", "x", {}, {"deduplication": {"id": "k"}}]
    move.source.run(again)
    assert await move.all() == 1
    assert [job["id"] for job in move.target.run(again)] == ["v1-1"]
    assert move.work() == ["v1-1"]
    assert not move.target.raw.exists(f"{move.target.base}de:k")
    move.source.run(again)
    assert move.source.run(["process", 9]) == [["2"]], "an add to the old queue was swallowed"


@majors_with(Feature.DEDUPLICATION)
async def test_a_deduplication_id_keeps_its_time_to_live(move: Move) -> None:
    move.source.run(["add", "x", {}, {"deduplication": {"id": "k", "ttl": LATER}}])
    raw: Any = move.source.raw
    before = raw.pttl(f"{move.source.base}de:k")
    assert await move.all() == 1
    assert 0 < raw.pttl(f"{move.target.base}de:k") <= before
    assert not raw.exists(f"{move.source.base}de:k")


@majors_with(Feature.DEDUPLICATION)
async def test_an_owner_in_the_target_stays_the_owner(move: Move) -> None:
    once = {"deduplication": {"id": "k"}}
    move.target.run(["add", "x", {}, once | {"jobId": "own"}])
    move.source.run(["add", "x", {}, once | {"jobId": "moved"}])
    assert await move.all() == 1
    assert move.target.raw.get(f"{move.target.base}de:k") == "own"
    assert move.work() == ["own", "moved"]


@majors_with(Feature.DEDUPLICATION)
async def test_the_add_that_waits_for_an_active_owner_moves_with_it(move: Move) -> None:
    pending_behind_a_job_that_was_active(move.source, "k")
    assert await move.all() == 1
    move.target.run(["addBulk", bullmq.jobs(1)])
    assert move.work() == ["v1-1", "2", "3"], "its id is drawn from the target's counter"
    assert move.target.run(["job", "3", "getState"]) == ["completed"]


def pending_behind_a_job_that_was_active(shop: Shop, name: str) -> None:
    """The worker is gone, and its job is back among the waiting ones, as stalled ones are."""
    once = ["add", "x", {}, {"deduplication": {"id": name, "keepLastIfActive": True}}]
    shop.run(once, ["process", 1, {"leaveActive": True}], once)
    job = str(shop.raw.get(f"{shop.base}de:{name}"))
    assert shop.raw.exists(f"{shop.base}dn:{name}")
    shop.raw.delete(f"{shop.base}{job}:lock")
    shop.raw.lmove(f"{shop.base}active", f"{shop.base}wait", "RIGHT", "RIGHT")


@EVERY_MAJOR
async def test_ids_that_cannot_be_kept_get_a_prefix(move: Move) -> None:
    """Numbers always: the target's counter would come to them, and write over the job."""
    named = [["add", "x", {}, {"jobId": job}] for job in ("free", "taken", "twice")]
    move.source.run(*named, ["addBulk", bullmq.jobs(2)])
    in_target = ("taken", "twice", "v1-twice", "v1-4")
    move.target.run(*(["add", "x", {}, {"jobId": job}] for job in in_target))
    assert await move.all() == 5
    move.target.run(["addBulk", bullmq.jobs(3)])
    moved = ["free", "v1-taken", "v1-twice-2", "v1-4-2", "v1-5"]
    assert move.work() == [*in_target, *moved, "10", "11", "12"]


@EVERY_MAJOR
async def test_jobs_whose_new_ids_would_be_one_get_two(move: Move) -> None:
    move.source.run(["add", "x", {}, {"jobId": "v1-2"}], ["addBulk", bullmq.jobs(1)])
    assert await move.all() == 2
    assert move.work() == ["v1-2", "v1-2-2"]


@EVERY_MAJOR
async def test_an_empty_queue_is_left_as_it_is(move: Move) -> None:
    before = move.source.snapshot() | move.target.snapshot()
    assert await move.all() == 0
    assert move.source.snapshot() | move.target.snapshot() == before


@EVERY_MAJOR
async def test_a_second_run_finds_nothing_to_move(move: Move) -> None:
    move.source.run(["addBulk", bullmq.jobs(3)])
    await move.all()
    before = move.source.snapshot() | move.target.snapshot()
    assert await move.all() == 0
    assert move.source.snapshot() | move.target.snapshot() == before


@pytest.mark.parametrize(
    ("producer", "worker"),
    [
        pytest.param(producer, worker, id=f"{producer} to {worker}")
        for producer, worker in itertools.product(Major, Major)
    ],
)
async def test_of_a_queue_that_used_every_feature_nothing_that_can_be_done_is_lost(
    connection: RedisConnection, shop: Shop, producer: Major, worker: Major
) -> None:
    move = Move(connection, shop.by(producer), shop.other("orders/v2").by(worker))
    move.target.run(["getJobCounts"])
    use_everything(move.source)
    finish_everything(move.source)
    before = (await read_queue(connection, move.source.base)).counts
    outcome = await move()
    after = (await read_queue(connection, move.source.base)).counts
    gained = (await read_queue(connection, move.target.base)).counts
    assert outcome.migrated_jobs == gained.unfinished == before.unfinished - after.unfinished > 0
    with move.target.worker(STALLED_MS="1000"):
        await asyncio.to_thread(wait_until, lambda: ended(move, gained.unfinished), "the jobs", 60)
    assert (after.completed, after.failed) == (before.completed, before.failed)


def ended(move: Move, count: int) -> bool:
    raw: Any = move.target.raw
    return bool(
        raw.zcard(f"{move.target.base}completed") + raw.zcard(f"{move.target.base}failed") >= count
    )
