"""Jobs that come when nobody expects them: the queue comes back for them, workers last."""

from __future__ import annotations

import datetime

from tests.e2e.shop import Shop


def test_a_job_for_a_retired_queue_brings_it_back_as_it_was_and_it_retires_again(
    shop: Shop,
) -> None:
    shop.release("1", replicas=2)
    shop.on_queue("1", "setGlobalConcurrency", 1)
    shop.wait_done(shop.add("1", 3))
    shop.release("2")
    shop.wait_phase("1", "Retired")
    assert shop.keys("1") == []

    with shop.client.monitor() as monitor:
        late = shop.add("1", 3)
        shop.wait_done(late, times=2)
        told = next(said for said in monitor.listen() if said["command"].startswith("HSETNX"))
    assert told["command"] == "HSETNX bull:orders/v1:meta concurrency 1"
    _, back = shop.scalings("worker-v1")
    restored = datetime.datetime.fromtimestamp(told["time"], datetime.UTC)
    assert restored < back, "one job at a time must hold for the first job already"
    assert "its workers come back to finish it" in shop.events("1")["Reopened"]

    shop.wait_phase("1", "Retired")
    assert shop.keys("1") == []
    assert shop.pods("worker-v1") == []
    assert shop.status("1")["retirement"]["lateJobs"] == 3


def test_a_job_during_the_delay_brings_the_workers_back(shop: Shop) -> None:
    shop.release("1", retire={"delay": "1h"})
    shop.wait_done(shop.add("1", 3))
    shop.release("2")
    shop.wait_condition("1", "WorkersScaledDown", status="True")
    waiting = shop.wait_condition("1", "Obliterated", status="False", reason="Waiting")
    assert "retire.delay ends at" in waiting["message"]

    shop.wait_done(shop.add("1", 3))
    assert "3 unfinished jobs after queue" in shop.events("1")["Reopened"]

    shop.patch("1", retire={"delay": "0s"})
    shop.wait_phase("1", "Retired")
    assert shop.keys("1") == []


def test_late_jobs_on_hold_are_named_and_left_alone(shop: Shop) -> None:
    shop.release("1", retire={"delay": "0s", "lateJobs": "Hold"})
    shop.wait_done(shop.add("1", 3))
    shop.release("2")
    shop.wait_phase("1", "Retired")

    late = shop.add("1", 3)
    held = shop.wait_condition("1", "Held", status="True", reason="StillFed")
    assert "find the producer that still adds to it" in held["message"]
    assert shop.condition("1", "LateJobs")["status"] == "True"
    shop.wait_polls()
    assert shop.replicas("worker-v1") == 0
    assert shop.on_queue("1", "getWaitingCount") == 3

    shop.patch("1", retire={"lateJobs": "Reopen"})
    shop.wait_done(late, times=2)
    shop.wait_phase("1", "Retired")
    assert shop.keys("1") == []
