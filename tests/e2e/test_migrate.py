"""A drain that is out of time under `onTimeout: Migrate`: the new version does what is left."""

from __future__ import annotations

from devcluster.waiting import wait_until
from tests.e2e.shop import LATER, STORY_SECONDS, Shop

DRAIN = {"quietPeriod": "1s", "timeout": "5s", "onTimeout": "Migrate"}


def test_the_new_version_does_the_jobs_that_the_old_one_had_no_time_for_each_once(
    shop: Shop,
) -> None:
    shop.release("1", drain=DRAIN)
    done_before = shop.add("1", 5)
    shop.wait_done(done_before)
    shop.add("1", 20, opts=LATER)
    shop.scale("worker-v1", 0)
    wait_until(lambda: not shop.pods("worker-v1"), "no workers of v1", STORY_SECONDS)
    shop.add("1", 30)

    shop.release("2")
    shop.wait_phase("1", "Retired")
    assert shop.status("1")["retirement"]["migratedJobs"] == 50
    assert shop.keys("1") == []
    events = shop.events("1")
    assert "50 unfinished jobs moved" in events["Migrated"]
    assert "raise drain.timeout" in events["MigrationDue"]

    shop.on_queue("2", "promoteJobs")
    wait_until(lambda: len(shop.done() - done_before) >= 50, "all jobs done", STORY_SECONDS)
    ledger = shop.ledger()
    assert len(ledger) == 55
    assert set(ledger.values()) == {1}
    assert shop.on_queue("2", "getJobCounts")["completed"] == 50
