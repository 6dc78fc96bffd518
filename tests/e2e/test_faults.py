"""What can't be read is unknown, and unknown is not empty."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.waiting import wait_until
from tests.e2e.installation import SYSTEM, USER
from tests.e2e.shop import LATER, STORY_SECONDS, Shop

SECRET = {"secretKeyRef": {"name": "redis", "key": "password"}}


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


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        pytest.param({"redis": {"urlFrom": SECRET}}, 'Secret "redis"', id="a missing Secret"),
        pytest.param({"workers": [{"name": "absent"}]}, "absent", id="a missing workload"),
    ],
)
def test_what_is_missing_is_named_and_found_later(
    shop: Shop, spec: dict[str, Any], message: str
) -> None:
    shop.workers("1", name="worker-v1")
    shop.declare("1", "worker-v1", **spec)
    ready = shop.wait_condition("1", "Ready", status="False")
    wait_until(lambda: message in shop.condition("1", "Ready")["message"], ready["message"])

    secret = ("secret", "generic", "redis", f"--from-literal=password={shop.redis.url}")
    shop.kubectl("create", *secret)
    shop.workers("1", name="absent")
    shop.wait_phase("1", "Current")


def test_a_wrong_password_is_named_and_scales_nothing(shop: Shop) -> None:
    shop.release("1")
    shop.wait_done(shop.add("1", 3))
    shop.kubectl("create", "secret", "generic", "redis", "--from-literal=password=wrong")
    shop.patch("1", redis={"url": shop.redis.url, "passwordFrom": SECRET})
    shop.declare("2", shop.workers("2"))
    backend = shop.wait_condition("1", "BackendReachable", status="False")
    assert "password" in backend["message"].lower()
    assert "wrong" not in backend["message"].split()
    assert shop.condition("1", "Drained")["status"] == "Unknown"
    assert shop.replicas("worker-v1") == 1


def test_an_operator_killed_in_the_middle_goes_on(shop: Shop) -> None:
    shop.release("1")
    jobs = shop.add("1", 3, opts=LATER)
    shop.release("2")
    shop.wait_phase("1", "Draining")
    kubectl = shop.cluster.kubectl
    label = "app.kubernetes.io/name=bullmq-operator"
    kubectl("delete", "pod", "-l", label, "--grace-period=0", "--force", namespace=SYSTEM)
    shop.on_queue("1", "promoteJobs")
    shop.wait_phase("1", "Retired")
    assert jobs <= shop.done()


def test_a_settled_family_costs_no_write(shop: Shop) -> None:
    shop.release("1")
    shop.wait_done(shop.add("1", 3))
    shop.release("2")
    shop.wait_phase("1", "Retired")
    shop.wait_polls()
    settled = writes(shop)
    shop.wait_polls(10)
    assert writes(shop) == settled
    wait_until(lambda: shop.status("1")["phase"] == "Retired", "still retired", STORY_SECONDS)


def writes(shop: Shop) -> list[str]:
    """What the operator wrote in this namespace, ever."""
    return [
        f"{entry.verb} {entry.uri}"
        for entry in shop.cluster.audit(user=USER)
        if entry.is_write and entry.namespace == shop.namespace
    ]
