"""What does not end by itself is named, with the way out; and it goes on when that was taken."""

from __future__ import annotations

from tests.e2e.shop import Shop


def test_a_paused_queue_with_jobs_is_held_until_it_is_resumed(shop: Shop) -> None:
    shop.release("1")
    shop.on_queue("1", "pause")
    jobs = shop.add("1", 5)
    shop.release("2")
    held = shop.wait_condition("1", "Held", status="True", reason="QueuePaused")
    assert "5" in held["message"]
    assert shop.status("1")["phase"] == "Held"
    assert shop.replicas("worker-v1") == 1

    shop.on_queue("1", "resume")
    shop.wait_phase("1", "Retired")
    assert jobs <= shop.done()
    assert shop.keys("1") == []


def test_failed_jobs_hold_what_is_otherwise_done(shop: Shop) -> None:
    shop.release("1")
    [job] = shop.add("1", 1, data={"fail": 1})
    shop.release("2")
    held = shop.wait_condition("1", "Held", status="True", reason="FailedJobs")
    assert "1 failed" in held["message"]
    assert shop.keys("1") != []

    shop.on_queue("1", "retryJobs", {"state": "failed"})
    shop.wait_phase("1", "Retired")
    assert job in shop.done()
