"""What can't be read is unknown, and unknown is not empty."""

from __future__ import annotations

from tests.e2e.installation import restart
from tests.e2e.shop import LATER, Shop


def test_redis_away_means_unknown_and_nothing_is_scaled(shop: Shop) -> None:
    shop.release("1")
    jobs = shop.add("1", 3, opts=LATER)
    shop.release("2")
    shop.wait_phase("1", "Draining")
    shop.redis.shut_down()
    shop.wait_condition("1", "Drained", status="Unknown")
    shop.wait_condition("1", "BackendReachable", status="False")
    shop.wait_condition("2", "Ready", status="Unknown")
    assert shop.replicas("worker-v1") == 1
    assert "jobs" not in shop.status("1"), "absent when unknown, never 0"

    shop.redis.restart()
    shop.wait_condition("1", "Drained", status="False", reason="UnfinishedJobs")
    shop.on_queue("1", "promoteJobs")
    shop.wait_phase("1", "Retired")
    assert jobs <= shop.done()


def test_a_redis_that_lost_its_data_is_not_an_empty_queue(shop: Shop) -> None:
    shop.release("1")
    shop.wait_done(shop.add("1", 3))
    shop.add("1", 3, opts=LATER)
    shop.release("2")
    shop.wait_phase("1", "Draining")
    shop.redis.restart(keep_data=False)
    shop.wait_condition("1", "Held", status="True", reason="QueueVanished")
    assert shop.replicas("worker-v1") == 1


def test_an_operator_killed_in_the_middle_goes_on(shop: Shop) -> None:
    shop.release("1")
    jobs = shop.add("1", 3, opts=LATER)
    shop.release("2")
    shop.wait_phase("1", "Draining")
    restart(shop.cluster, kill=True)
    shop.on_queue("1", "promoteJobs")
    shop.wait_phase("1", "Retired")
    assert jobs <= shop.done()


def test_an_operator_that_starts_while_redis_is_away_waits_for_it(shop: Shop) -> None:
    """What it knew before is gone with its process, so nothing but the status can mislead it."""
    shop.release("1", retire={"delay": "1h"})
    shop.wait_done(shop.add("1", 3))
    shop.release("2")
    shop.wait_condition("1", "WorkersScaledDown", status="True")
    shop.redis.shut_down()
    restart(shop.cluster)
    shop.patch("1", retire={"delay": "0s"})
    shop.wait_condition("1", "Drained", status="Unknown", reason="RedisUnreachable")
    assert shop.status("1")["phase"] == "Retiring"

    shop.redis.restart()
    shop.wait_phase("1", "Retired")
    assert shop.keys("1") == []
