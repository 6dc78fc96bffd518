"""A drain that takes too long: what was asked for is done, nothing is lost, and it can go on."""

from __future__ import annotations

from devcluster.waiting import wait_until
from tests.e2e.shop import LATER, STORY_SECONDS, Shop


def overdue(shop: Shop, on_timeout: str) -> tuple[set[str], str]:
    """A superseded version past its deadline; its jobs, and what it is held for."""
    drain = {"quietPeriod": "1s", "timeout": "2s", "onTimeout": on_timeout}
    shop.release("1", replicas=2, drain=drain)
    jobs = shop.add("1", 3, opts=LATER)
    shop.release("2")
    held = shop.wait_condition("1", "Held", status="True", reason="DeadlinePassed")
    assert shop.status("1")["phase"] == "Held"
    return jobs, held["message"]


def test_scale_down_at_the_deadline_keeps_the_jobs_and_more_time_goes_on(shop: Shop) -> None:
    jobs, message = overdue(shop, "ScaleDown")
    assert "with 3 delayed" in message
    assert "jobs stay in Redis: raise drain.timeout" in message
    wait_until(lambda: not shop.pods("worker-v1"), "no workers", STORY_SECONDS)
    assert "raise drain.timeout" in shop.events("1")["DelayedBeyondDeadline"]
    shop.wait_polls()
    assert shop.on_queue("1", "getDelayedCount") == 3
    assert shop.status("1")["phase"] == "Held"

    shop.patch("1", drain={"timeout": "1h"})
    shop.wait_ready("worker-v1", replicas=2)
    shop.on_queue("1", "promoteJobs")
    shop.wait_phase("1", "Retired")
    assert jobs <= shop.done()


def test_hold_at_the_deadline_lets_the_workers_go_on_until_all_is_done(shop: Shop) -> None:
    jobs, message = overdue(shop, "Hold")
    assert "with 3 delayed" in message
    assert "workers go on: raise drain.timeout" in message
    assert "raise drain.timeout" in shop.events("1")["Held"]
    shop.wait_polls()
    assert shop.scalings("worker-v1") == []

    shop.on_queue("1", "promoteJobs")
    shop.wait_phase("1", "Retired")
    assert jobs <= shop.done()
