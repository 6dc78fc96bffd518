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
