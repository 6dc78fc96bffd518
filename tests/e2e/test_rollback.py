"""A bad version is taken back: the one before it serves again, as it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from devcluster.waiting import wait_until
from tests.e2e.shop import STORY_SECONDS, Shop

KEPT = {"delay": "1h"}


@pytest.mark.parametrize(
    "take_back",
    [
        pytest.param(lambda shop: shop.patch("2", state="Retired"), id="state Retired"),
        pytest.param(lambda shop: shop.patch("2", state="Stopped"), id="state Stopped"),
        pytest.param(
            lambda shop: shop.kubectl("delete", "qv", "orders-v2"), id="deletion, as by git revert"
        ),
    ],
)
def test_rollback_restores_the_replicas(shop: Shop, take_back: Callable[[Shop], object]) -> None:
    shop.release("1", replicas=2, retire=KEPT)
    shop.wait_done(shop.add("1", 5))
    shop.release("2")
    wait_until(
        lambda: shop.replicas("worker-v1") == 0 and not shop.pods("worker-v1"),
        "the workers of v1 are gone",
        STORY_SECONDS,
    )

    take_back(shop)
    shop.wait_phase("1", "Current")
    shop.wait_ready("worker-v1", replicas=2)
    shop.wait_done(shop.add("1", 5))


def test_the_emergency_brake_stops_workers_and_keeps_jobs(shop: Shop) -> None:
    shop.release("1")
    shop.patch("1", state="Stopped")
    shop.wait_phase("1", "Stopped")
    wait_until(lambda: not shop.pods("worker-v1"), "no workers", STORY_SECONDS)
    jobs = shop.add("1", 5)
    shop.wait_polls()
    assert shop.replicas("worker-v1") == 0
    assert shop.on_queue("1", "getWaitingCount") == 5

    shop.patch("1", state="Auto")
    shop.wait_done(jobs)
