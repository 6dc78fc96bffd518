"""The main job, as a user tells it: a new version is released, the old one ends by itself."""

from __future__ import annotations

from devcluster.waiting import wait_until
from tests.e2e.installation import USER
from tests.e2e.shop import LATER, STORY_SECONDS, Shop


def test_an_old_version_drains_and_goes_away(shop: Shop) -> None:
    shop.release("1", replicas=3)
    jobs = shop.add("1", 15)
    jobs |= shop.add("1", 15, opts=LATER)
    jobs |= shop.add("1", 1, data={"ms": 3000})

    shop.release("2")
    blocked = shop.wait_condition("1", "Drained", status="False", reason="UnfinishedJobs")
    assert "15 delayed" in blocked["message"]
    assert len(shop.pods("worker-v1")) == 3, "they stay while delayed jobs are left"

    shop.on_queue("1", "promoteJobs")
    shop.kubectl("wait", "qv/orders-v1", "--for=condition=Retired", "--timeout=60s")
    assert jobs <= shop.done()
    assert shop.keys("1") == []
    assert shop.replicas("worker-v1") == 0
    assert shop.pods("worker-v1") == []
    assert shop.replicas("worker-v2") == 1
    assert shop.status("2")["phase"] == "Current"


def test_kubectl_tells_the_story(shop: Shop) -> None:
    shop.release("1")
    shop.release("2")
    shop.wait_phase("1", "Retired")

    listed = shop.kubectl("get", "qv").splitlines()
    assert [line.split()[:4] for line in listed[1:]] == [
        ["orders-v1", "orders", "1", "Retired"],
        ["orders-v2", "orders", "2", "Current"],
    ]
    described = shop.kubectl("describe", "qv", "orders-v1")
    events = described[described.index("Events:") :]
    told = ["Activated", "Superseded", "Drained", "WorkersGone", "Retired"]
    assert [reason for reason in told if reason not in events] == []


def test_the_workers_stay_until_the_last_job_is_done(shop: Shop) -> None:
    shop.release("1")
    [job] = shop.add("1", 1, data={"ms": 10_000})
    wait_until(lambda: shop.on_queue("1", "getActiveCount") == 1, "the job runs", STORY_SECONDS)
    shop.release("2")
    shop.wait_phase("1", "Retired")
    [scaled, *_] = (
        entry.time
        for entry in shop.cluster.audit(user=USER)
        if entry.namespace == shop.namespace and entry.resource == "deployments/scale"
    )
    [finished_on] = shop.finished(job)
    assert finished_on < scaled


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
