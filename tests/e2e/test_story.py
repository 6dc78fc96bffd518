"""The main job, as a user tells it: a new version is released, the old one ends by itself."""

from __future__ import annotations

import re
from datetime import timedelta

from devcluster.waiting import wait_until
from tests.e2e.shop import STORY_SECONDS, Shop

TOLD = {"Activated", "Superseded", "Drained", "WorkersGone", "Obliterating", "Retired"}


def test_an_old_version_drains_and_goes_away(shop: Shop) -> None:
    """Three hundred jobs, half of them due later, one that runs long: no one is lost or done twice,
    and the workers stay until the last is done and the queue has been quiet."""
    shop.release("1", replicas=3, drain={"quietPeriod": "3s"})
    shop.wait_ready(shop.workers("2"), replicas=1)
    jobs = shop.add("1", 150, opts={"delay": 20_000})
    jobs |= shop.add("1", 1, data={"ms": 15_000}) | shop.add("1", 149)
    shop.declare("2", "worker-v2")
    blocked = shop.wait_condition("1", "Drained", status="False", reason="UnfinishedJobs")
    assert re.search(r"\d+ delayed \(next due 20\S+Z", blocked["message"])
    assert columns(shop, "1")[:4] == ["orders", "1", "Draining", "True"]
    assert columns(shop, "1")[5] == "3/3"

    shop.kubectl("wait", "qv/orders-v1", "--for=condition=Retired", "--timeout=60s")
    assert shop.ledger() == dict.fromkeys(jobs, 1)
    assert shop.keys("1") == []
    assert shop.pods("worker-v1") == []
    [scaled] = shop.scalings("worker-v1")
    assert scaled > shop.done_times()[-1] + timedelta(seconds=3)
    assert columns(shop, "1")[:6] == ["orders", "1", "Retired", "True", "0", "0/0"]
    assert columns(shop, "2")[:6] == ["orders", "2", "Current", "True", "0", "1/1"]
    assert told(shop, "1") == TOLD
    assert told(shop, "2") == {"Activated"}


def columns(shop: Shop, version: str) -> list[str]:
    """A QueueVersion in `kubectl get qv`, from the column Queue on."""
    return shop.kubectl("get", "qv", f"orders-v{version}", "--no-headers").split()[1:]


def told(shop: Shop, version: str) -> set[str]:
    """The reasons of the Events that `kubectl describe` shows (in no order within a second)."""
    described = shop.kubectl("describe", "qv", f"orders-v{version}")
    _, _, table = described.partition("\nEvents:")
    return {line.split()[1] for line in table.splitlines()[3:]}


def test_a_pod_that_finishes_a_long_job_holds_the_retirement(shop: Shop) -> None:
    """`status.replicas` is 0 while its only Pod terminates: that Pod still counts."""
    shop.release("1")
    [job] = shop.add("1", 1, data={"ms": 15_000})
    wait_until(lambda: shop.on_queue("1", "getActiveCount") == 1, "the job runs", STORY_SECONDS)
    shop.release("2")
    shop.scale("worker-v1", 0)

    def nothing_counted() -> bool:
        found = shop.cluster.kubectl.get("deployment", "worker-v1", shop.namespace)
        return bool(found) and not found["status"].get("replicas")

    wait_until(nothing_counted, "status.replicas is 0", STORY_SECONDS)
    assert len(shop.pods("worker-v1")) == 1
    assert job not in shop.done()
    assert shop.condition("1", "WorkersScaledDown")["status"] != "True"
    assert shop.keys("1") != []

    shop.wait_phase("1", "Retired")
    assert job in shop.done()
    assert shop.pods("worker-v1") == []
