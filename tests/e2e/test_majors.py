"""The same story for a team that still runs, or comes from, another BullMQ than the newest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from devcluster.bullmq import Major
from tests.e2e.shop import Shop

OTHERS = [major for major in Major if major is not Major.V6]


@pytest.mark.parametrize("major", OTHERS, ids=str)
def test_a_version_on_another_bullmq_is_retired_and_a_late_job_of_its_producers_is_done(
    shop: Shop, major: Major
) -> None:
    old = replace(shop, major=major)
    old.release("1")
    jobs = old.add("1", 10) | old.add("1", 2, opts={"delay": 3_000})
    jobs |= old.add("1", 1, opts={"priority": 5})
    shop.release("2")
    shop.wait_phase("1", "Retired")
    assert shop.ledger() == dict.fromkeys(jobs, 1)
    assert shop.keys("1") == []
    assert shop.pods("worker-v1") == []

    # Its ids began anew with the queue, so the ledger tells it as one more of the first job's.
    [late] = old.add("1", 1)
    assert late in jobs
    shop.wait_done({late}, times=2)
    shop.wait_phase("1", "Retired")
    assert shop.keys("1") == []
