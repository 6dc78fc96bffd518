"""Which version is newer: known, or nothing is superseded; and the ways round the order."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.shop import LATER, Shop

SUSPEND = "bullmq-operator.dev/suspend"


def test_versions_without_an_order_serve_side_by_side_until_all_have_one(shop: Shop) -> None:
    shop.release("1")
    jobs = shop.add("1", 3, opts=LATER)
    shop.declare("c0ffee", shop.workers("c0ffee"))
    stalled = shop.wait_condition("c0ffee", "Stalled", status="True", reason="OrderUnknown")
    assert stalled["message"].startswith("Configuration: spec.version is not a semantic version")
    assert "set spec.order on every version of family orders" in stalled["message"]
    assert shop.status("1")["phase"] == "Current"

    shop.patch("c0ffee", order=2)
    stalled = shop.wait_condition("1", "Stalled", status="True", reason="OrderUnknown")
    assert "other versions of the family set spec.order, this one not" in stalled["message"]
    shop.wait_phase("c0ffee", "Current")
    assert shop.status("1")["phase"] == "Current"
    shop.on_queue("1", "promoteJobs")
    shop.wait_done(jobs)

    shop.patch("1", order=1)
    shop.wait_phase("1", "Retired")
    assert shop.status("c0ffee")["phase"] == "Current"
    assert shop.condition("c0ffee", "Stalled") == {}


def test_a_lower_version_that_comes_later_drains_at_once_and_pinned_serves(shop: Shop) -> None:
    shop.release("2")
    shop.declare("1", shop.workers("1"))
    shop.wait_condition("1", "Ready", status="True", reason="Retired")
    assert "set spec.state to Pinned to run both" in shop.events("1")["SupersededOnArrival"]

    shop.patch("1", state="Pinned")
    shop.wait_phase("1", "Current")
    shop.wait_ready("worker-v1", replicas=1)
    shop.wait_done(shop.add("1", 3))
    assert shop.status("2")["phase"] == "Current"


def test_a_pinned_version_is_never_superseded_and_drains_once_it_is_not_pinned(shop: Shop) -> None:
    shop.release("1", state="Pinned")
    shop.release("2")
    shop.wait_polls()
    assert shop.status("1")["phase"] == "Current"
    shop.wait_done(shop.add("1", 3))
    assert shop.scalings("worker-v1") == []

    shop.patch("1", state="Auto")
    shop.wait_phase("1", "Retired")


@pytest.mark.parametrize("where", ["version", "namespace"])
def test_what_is_suspended_is_reported_and_left_alone(shop: Shop, where: str) -> None:
    on_version: dict[str, Any] = {"suspend": True} if where == "version" else {}
    if where == "namespace":
        shop.kubectl("annotate", "namespace", shop.namespace, f"{SUSPEND}=true")
    shop.release("1", **on_version)
    shop.wait_done(shop.add("1", 3))
    shop.release("2")
    ready = shop.wait_condition("1", "Ready", status="True")
    shop.wait_condition("1", "Drained", status="True")
    assert "suspended" in shop.condition("1", "Ready")["message"], ready
    shop.wait_polls()
    assert shop.scalings("worker-v1") == []
    assert shop.keys("1") != []

    if where == "namespace":
        shop.kubectl("annotate", "namespace", shop.namespace, f"{SUSPEND}-")
    shop.patch("1", suspend=False)
    shop.wait_phase("1", "Retired")
    assert shop.keys("1") == []
