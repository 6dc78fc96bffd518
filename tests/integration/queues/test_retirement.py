"""Deleting a drained queue: all of it, nothing else, and never an unfinished job."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from bullmq_operator.domain.counts import RetirementOutcome, UnknownReason
from bullmq_operator.queues import scripts
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.errors import QueueReadError
from bullmq_operator.queues.inventory import take_inventory
from bullmq_operator.queues.retirement import LARGEST_SLICE, SMALLEST_SLICE, next_size, retire_queue
from devcluster import bullmq
from tests.integration.queues.features import EVERY_MAJOR
from tests.integration.queues.support import FAILING, Shop
from tests.integration.queues.test_inventory import fail_child_of_parent_elsewhere

pytestmark = pytest.mark.redis


async def retire(
    connection: RedisConnection,
    shop: Shop,
    on_progress: Callable[[RetirementOutcome], None] | None = None,
    *,
    orphans_approved: bool = False,
) -> RetirementOutcome:
    """Inventory, then everything else."""
    inventory = await take_inventory(connection, shop.queue)
    return await retire_queue(
        connection,
        shop.queue,
        inventory,
        inventory.stamp,
        on_progress,
        orphans_approved=orphans_approved,
    )


@EVERY_MAJOR
async def test_a_whole_retirement_leaves_no_key(connection: RedisConnection, shop: Shop) -> None:
    shop.finish(350, failed=250)
    shop.run(["job", "1", "log", "a line"])
    shop.raw.set(f"{shop.base}de:k", "2", ex=600)
    shop.raw.lpush(f"{shop.base}wait", "0:0")
    outcome = await retire(connection, shop)
    assert outcome == RetirementOutcome(obliterated_jobs=600, swept_keys=1, closed=True)
    assert shop.keys() == set()


async def test_jobs_of_a_queue_that_is_named_like_our_job_stay_even_if_named_like_its_parts(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.run(["add", "x", {}, {"jobId": "eu"}], ["job", "eu", "log", "a line"], ["process", 1])
    foreign = shop.other("eu", f"{shop.prefix}:{shop.name}")
    for name in ("dependencies", "processed", "failed", "unsuccessful", "lock"):
        foreign.run(["add", "x", {}, {"jobId": name}])
    before = foreign.snapshot()
    assert (await retire(connection, shop)).closed
    left = foreign.snapshot()
    assert left == {name: digest for name, digest in before.items() if name in left}
    assert set(before) - set(left) == {f"{foreign.base}logs"}, "the list is our job's"


async def test_a_call_tells_how_long_it_took(connection: RedisConnection, shop: Shop) -> None:
    """TIME says the same all through a script of a newer Redis: then slices only ever grew."""
    shop.finish(200)
    stamp = (await take_inventory(connection, shop.queue)).stamp
    words = (stamp or "", 2**53, 200)
    deleted, _, took = await scripts.run(connection, scripts.load("slice"), shop.base, words)
    assert (deleted, took > 0) == (200, True)


@EVERY_MAJOR
async def test_a_second_run_finds_nothing_to_do(connection: RedisConnection, shop: Shop) -> None:
    shop.finish(3)
    proof = await take_inventory(connection, shop.queue)
    await retire_queue(connection, shop.queue, proof, proof.stamp)
    again = await retire_queue(connection, shop.queue, proof, proof.stamp)
    assert again == RetirementOutcome(closed=True)


@EVERY_MAJOR
@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("orders/v2", "orders/v20"), id="v2 and v20"),
        pytest.param(("orders/v2", "orders/v2-eu"), id="v2 and v2-eu"),
        pytest.param(("or*", "orders"), id="a glob"),
    ],
)
async def test_a_queue_of_a_similar_name_is_left_alone(
    connection: RedisConnection, shop: Shop, names: tuple[str, str]
) -> None:
    ours, near = shop.other(names[0]), shop.other(names[1])
    ours.finish(2)
    near.finish(2, failed=1)
    before = near.snapshot()
    assert (await retire(connection, ours)).closed
    assert near.snapshot() == before


@EVERY_MAJOR
async def test_queues_that_share_our_base_are_left_alone(
    connection: RedisConnection, shop: Shop
) -> None:
    """Also one that is called like one of our jobs: its `failed` is named like the job's."""
    ours = shop.other("shop")
    ours.finish(2)
    foreign = [shop.other("orders", "bull:shop"), shop.other("1", "bull:shop")]
    for queue in foreign:
        queue.finish(2, failed=2)
    before = [queue.snapshot() for queue in foreign]
    assert (await retire(connection, ours)).closed
    assert [queue.snapshot() for queue in foreign] == before
    assert ours.keys() == foreign[0].keys() | foreign[1].keys()


@EVERY_MAJOR
async def test_an_unfinished_job_of_any_state_stops_everything(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.finish(2)
    proof = await take_inventory(connection, shop.queue)
    shop.run(["add", "x", {}, {"delay": 3_600_000}])
    before = shop.snapshot()
    outcome = await retire_queue(connection, shop.queue, proof, proof.stamp)
    assert outcome == RetirementOutcome(stopped_by="LateJob")
    assert shop.snapshot() == before


def slices_half_done(outcome: RetirementOutcome) -> bool:
    return 0 < outcome.obliterated_jobs < 300


def slices_done(outcome: RetirementOutcome) -> bool:
    return outcome.obliterated_jobs == 300


def swept(outcome: RetirementOutcome) -> bool:
    return outcome.swept_keys > 0


MOMENTS = pytest.mark.parametrize(
    "moment",
    [
        pytest.param(slices_half_done, id="between two slices"),
        pytest.param(slices_done, id="before the sweep"),
        pytest.param(swept, id="before the close"),
    ],
)


def once(
    moment: Callable[[RetirementOutcome], bool], act: Callable[[], object]
) -> Callable[[RetirementOutcome], None]:
    """Act at the first progress that is this moment: the next call comes after it."""
    done: list[object] = []

    def on_progress(outcome: RetirementOutcome) -> None:
        if not done and moment(outcome):
            done.append(act())

    return on_progress


@EVERY_MAJOR
@MOMENTS
async def test_a_late_job_stops_the_next_step_and_is_kept(
    connection: RedisConnection, shop: Shop, moment: Callable[[RetirementOutcome], bool]
) -> None:
    shop.finish(300)
    shop.raw.set(f"{shop.base}de:k", "2")
    outcome = await retire(connection, shop, once(moment, lambda: shop.add("late")))
    assert (outcome.stopped_by, outcome.closed) == ("LateJob", False)
    assert shop.run(["job", "late", "getState"], ["process", 1]) == ["waiting", ["late"]]


@EVERY_MAJOR
@MOMENTS
async def test_activity_that_left_nothing_unfinished_stops_the_next_step(
    connection: RedisConnection, shop: Shop, moment: Callable[[RetirementOutcome], bool]
) -> None:
    """A job that came and went: the proof, the archive and the approval were of other facts."""
    shop.finish(300)
    shop.raw.set(f"{shop.base}de:k", "2")

    def come_and_go() -> None:
        shop.run(["add", "x", {}, {"jobId": "brief"}], ["process", 1])

    outcome = await retire(connection, shop, once(moment, come_and_go))
    assert (outcome.stopped_by, outcome.closed) == ("Activity", False)
    assert shop.run(["job", "brief", "getState"]) == ["completed"]


@EVERY_MAJOR
async def test_a_retried_job_between_two_slices_is_kept(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.finish(0, failed=300)

    def retry() -> None:
        shop.run(["job", "300", "retry"])

    outcome = await retire(connection, shop, once(slices_half_done, retry))
    assert outcome.stopped_by == "LateJob"
    assert shop.run(["job", "300", "getState"]) == ["waiting"]


@EVERY_MAJOR
async def test_an_abort_leaves_a_healthy_queue_and_a_new_run_ends_it(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.finish(300)
    await retire(connection, shop, once(slices_half_done, lambda: shop.add("late")))
    assert {f"{shop.base}{name}" for name in ("meta", "id", "events")} <= shop.keys()
    assert shop.run(["process", 1]) == [["late"]]
    assert (await retire(connection, shop)).closed
    assert shop.keys() == set()


@EVERY_MAJOR
@MOMENTS
async def test_a_crash_at_any_step_is_finished_by_the_next_run(
    connection: RedisConnection, shop: Shop, moment: Callable[[RetirementOutcome], bool]
) -> None:
    shop.finish(300)
    shop.raw.set(f"{shop.base}de:k", "2")

    def crash() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await retire(connection, shop, once(moment, crash))
    assert (await retire(connection, shop)).closed
    assert shop.keys() == set()


@EVERY_MAJOR
async def test_a_stamp_that_moved_before_the_first_slice_deletes_nothing(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.finish(2)
    proof = await take_inventory(connection, shop.queue)
    shop.run(["add", "x", {}, {}], ["process", 1])
    before = shop.snapshot()
    outcome = await retire_queue(connection, shop.queue, proof, proof.stamp)
    assert outcome == RetirementOutcome(stopped_by="Activity")
    assert shop.snapshot() == before


@EVERY_MAJOR
async def test_a_stream_that_appears_after_a_proof_without_one_is_activity(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.finish(2)
    shop.raw.delete(f"{shop.base}events")
    proof = await take_inventory(connection, shop.queue)
    assert proof.stamp is None
    shop.run(["add", "x", {}, {}], ["process", 1])
    outcome = await retire_queue(connection, shop.queue, proof, None)
    assert outcome == RetirementOutcome(stopped_by="Activity")


@EVERY_MAJOR
async def test_a_queue_without_a_stream_is_retired_too(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.finish(2)
    shop.raw.delete(f"{shop.base}events")
    assert (await retire(connection, shop)).closed
    assert shop.keys() == set()


@EVERY_MAJOR
async def test_a_failed_child_whose_parent_waits_elsewhere_is_refused_before_any_deletion(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.finish(3)
    fail_child_of_parent_elsewhere(shop)
    before = shop.snapshot()
    assert await retire(connection, shop) == RetirementOutcome(stopped_by="ParentElsewhere")
    assert shop.snapshot() == before


@EVERY_MAJOR
async def test_the_slice_itself_refuses_a_failed_child_the_inventory_did_not_show(
    connection: RedisConnection, shop: Shop
) -> None:
    fail_child_of_parent_elsewhere(shop)
    inventory = await take_inventory(connection, shop.queue)
    blind = type(inventory)(stamp=inventory.stamp, finished_jobs=1)
    before = shop.snapshot()
    outcome = await retire_queue(connection, shop.queue, blind, blind.stamp)
    assert outcome == RetirementOutcome(stopped_by="ParentElsewhere")
    assert shop.snapshot() == before


@EVERY_MAJOR
async def test_orphans_stop_it_until_somebody_approves_them(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.run(["add", "x", {}, {}], ["job", "1", "log", "a line"])
    shop.raw.delete(f"{shop.base}wait")
    shop.raw.hset(f"{shop.base}dn:k", "name", "x")
    before = shop.snapshot()
    assert await retire(connection, shop) == RetirementOutcome(stopped_by="OrphanedJobs")
    assert shop.snapshot() == before
    approved = await retire(connection, shop, orphans_approved=True)
    assert (approved.swept_keys, approved.closed) == (3, True)
    assert shop.keys() == set()


async def test_an_unknown_key_stops_it_before_any_deletion(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.finish(2)
    shop.raw.zadd(f"{shop.base}groups", {"a": 1})
    before = shop.snapshot()
    assert await retire(connection, shop) == RetirementOutcome(stopped_by="UnknownKeys")
    assert shop.snapshot() == before


async def test_a_flushed_script_cache_between_two_slices_goes_unnoticed(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.finish(300)
    outcome = await retire(connection, shop, once(slices_half_done, shop.raw.script_flush))
    assert outcome == RetirementOutcome(obliterated_jobs=300, closed=True)


async def test_a_replica_refuses_and_says_why(connection: RedisConnection, shop: Shop) -> None:
    shop.finish(2)
    inventory = await take_inventory(connection, shop.queue)
    shop.raw.replicaof("127.0.0.1", 1)
    with pytest.raises(QueueReadError) as caught:
        await retire_queue(connection, shop.queue, inventory, inventory.stamp)
    assert caught.value.reason is UnknownReason.READ_ONLY
    assert (await take_inventory(connection, shop.queue)).finished_jobs == 2


@EVERY_MAJOR
async def test_retirements_beside_a_live_producer_lose_no_acknowledged_job(
    connection: RedisConnection, shop: Shop
) -> None:
    """Jobs come and go while retirements run one after the other; each one that was finished by a
    worker is told by it, each one that was not is still there. Every second round leaves the queue
    empty for a moment, every tenth until a retirement was complete.
    """
    rounds, closed = 30, threading.Event()

    def produce() -> int:
        steps = (["add", "x", {}, {}], ["addBulk", bullmq.jobs(2)])
        done = 0
        for i in range(1, rounds + 1):
            closed.clear()
            done += len(shop.run(*steps, ["process", 2 if i % 2 else 4])[2])
            assert i % 10 or closed.wait(60), "no retirement came to its end"
        return done

    producer = asyncio.create_task(asyncio.to_thread(produce))
    while not producer.done():
        if (await retire(connection, shop)).closed:
            closed.set()
    left = shop.run(["process", 10_000])[0]
    assert await producer + len(left) == rounds * 3


@EVERY_MAJOR
async def test_a_job_retried_and_failed_again_after_the_proof_deletes_nothing(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.finish(1, failed=1)
    proof = await take_inventory(connection, shop.queue)
    shop.run(["job", "2", "retry"], ["process", 1, FAILING])
    outcome = await retire_queue(connection, shop.queue, proof, proof.stamp)
    assert outcome == RetirementOutcome(stopped_by="Activity")


@pytest.mark.parametrize(
    ("size", "deleted", "took", "following"),
    [
        pytest.param(100, 100, 1000, 100, id="on the mark"),
        pytest.param(100, 100, 700, 142, id="quick: more"),
        pytest.param(100, 100, 100, 200, id="very quick: the most"),
        pytest.param(100, 100, 10_000, 50, id="slow: no less than half"),
        pytest.param(12, 12, 90_000, SMALLEST_SLICE, id="never none"),
        pytest.param(200, 200, 0, LARGEST_SLICE, id="immeasurably quick"),
    ],
)
def test_a_slice_follows_the_time_the_last_one_took(
    size: int, deleted: int, took: int, following: int
) -> None:
    assert next_size(size, deleted, took) == following
