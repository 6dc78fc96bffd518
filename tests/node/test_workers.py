"""The ground under the other tests: real BullMQ workers in real Pods."""

from __future__ import annotations

import pytest

from devcluster.waiting import wait_until
from tests.node.shop import Shop

pytestmark = pytest.mark.node


def test_workers_in_restricted_pods_do_every_job(shop: Shop) -> None:
    shop.deploy_workers("1", replicas=2)
    shop.produce("1", {"count": 50})
    shop.wait_done("1")
    assert len(shop.done("1")) == 50


def test_a_worker_that_is_scaled_down_finishes_its_job_first(shop: Shop) -> None:
    shop.deploy_workers("1", job_ms=3000)
    shop.wait_for(f"deployment/{shop.workers('1')}", "condition=Available")
    shop.produce("1", {"count": 5})
    shop.scale("1", replicas=0)
    wait_until(lambda: shop.pods("1") == [], "no worker Pod left")
    assert shop.client.llen(f"bull:{shop.queue('1')}:active") == 0
    assert shop.done("1") == shop.added("1")
