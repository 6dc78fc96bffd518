"""What else is in the same Redis, or in the same Deployment, is left alone."""

from __future__ import annotations

from typing import Any

import redis

from tests.e2e.shop import LATER, Shop


def fingerprint(shop: Shop, version: str) -> dict[str, Any]:
    """Every key of a queue with its value, byte by byte."""
    with redis.Redis.from_url(shop.redis.url) as raw:
        return {key: raw.dump(key) for key in shop.keys(version)}


def test_v2_goes_and_v20_beside_it_keeps_every_byte(shop: Shop) -> None:
    """v20 is no part of the family: nobody declared it."""
    shop.add("20", 3)
    shop.add("20", 3, opts=LATER)
    before = fingerprint(shop, "20")
    shop.release("2")
    shop.wait_done(shop.add("2", 5))
    shop.release("3")
    shop.wait_phase("2", "Retired")
    assert shop.keys("2") == []
    assert fingerprint(shop, "20") == before
    assert before != {}


def test_v2_goes_and_v20_of_the_same_family_goes_on(shop: Shop) -> None:
    """20 is higher than 2: an order by letters would have them the other way round."""
    shop.release("2")
    shop.wait_done(shop.add("2", 5))
    jobs = shop.add("20", 3, opts=LATER)
    before = fingerprint(shop, "20")
    del before["bull:orders/v20:marker"]  # its own workers take it and set it
    shop.release("20")
    shop.wait_phase("2", "Retired")
    assert shop.keys("2") == []
    assert before.items() <= fingerprint(shop, "20").items()
    shop.on_queue("20", "promoteJobs")
    shop.wait_done(jobs)


def test_two_objects_for_one_queue_are_a_conflict_and_nothing_of_it_is_deleted(shop: Shop) -> None:
    shop.release("1")
    shop.wait_done(shop.add("1", 3))
    shop.declare("2", queueName="orders/v1", workers=[{"name": "worker-v1"}])
    for kind in ("Conflict", "Stalled"):
        conflict = shop.wait_condition("2", kind, status="True", reason="Conflict")
        assert f"also belongs to {shop.namespace}/orders-v1: " in conflict["message"]
        assert "let one QueueVersion name it, and delete the other" in conflict["message"]
    shop.patch("1", state="Retired")
    held = shop.wait_condition("1", "Held", status="True")
    assert "orders-v2" in held["message"]
    assert len(shop.keys("1")) > 0

    shop.kubectl("delete", "qv", "orders-v2")
    shop.wait_phase("1", "Retired")
    assert shop.keys("1") == []


def test_a_deployment_of_two_versions_stays_until_the_last_has_let_go(shop: Shop) -> None:
    both = shop.workers("1", "2", name="both")
    shop.declare("1", both)
    shop.wait_phase("1", "Current")
    shop.wait_done(shop.add("1", 5))
    shop.declare("2", both)
    shop.wait_phase("2", "Current")
    held = shop.wait_condition("1", "Held", status="True", reason="WorkerAttached")
    assert "both" in held["message"]
    assert shop.replicas(both) == 1
    assert shop.keys("1") != []

    shop.workers("2", name="both")
    shop.wait_phase("1", "Retired")
    assert shop.keys("1") == []
    assert shop.replicas(both) == 1
    shop.wait_done(shop.add("2", 5))
