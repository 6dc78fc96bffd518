"""The main job, on a real node: a new version is deployed, the old one ends by itself."""

from __future__ import annotations

import pytest

from devcluster.waiting import wait_until
from tests.node.installation import Operator
from tests.node.shop import Shop

pytestmark = pytest.mark.node


def test_an_old_version_is_drained_scaled_to_zero_and_removed(
    operator: Operator, shop: Shop
) -> None:
    shop.deploy_workers("1", replicas=2, job_ms=500)
    shop.declare_version("1")
    shop.wait_for("queueversion/queue-v1", "jsonpath={.status.phase}=Current")
    shop.produce("1", {"count": 20}, {"count": 10, "opts": {"delay": 8000}})

    shop.deploy_workers("2")
    shop.declare_version("2")
    shop.wait_for("queueversion/queue-v2", "jsonpath={.status.phase}=Current")
    assert len(shop.pods("1")) == 2, "the old workers stay while delayed jobs are left"

    shop.wait_for("queueversion/queue-v1", "condition=Retired", timeout=90)
    assert len(shop.added("1")) == 30
    assert shop.done("1") == shop.added("1")
    assert shop.pods("1") == []
    assert shop.keys("1") == []
    assert shop.keys("2") != []
    assert len(shop.pods("2")) == 1


def test_a_restarted_operator_goes_on_with_the_drain(operator: Operator, shop: Shop) -> None:
    shop.deploy_workers("1")
    shop.declare_version("1")
    shop.wait_for("queueversion/queue-v1", "jsonpath={.status.phase}=Current")
    shop.produce("1", {"count": 5, "opts": {"delay": 10_000}})
    shop.deploy_workers("2")
    shop.declare_version("2")
    shop.wait_for("queueversion/queue-v1", "jsonpath={.status.phase}=Draining")

    pod = operator.pod()
    before = pod.restarts()
    pod.run("sh", "-c", "kill -TERM 1")
    wait_until(lambda: pod.restarts() == before + 1, "kubelet starts it again")
    shop.wait_for("queueversion/queue-v1", "condition=Retired", timeout=90)
    assert shop.done("1") == shop.added("1")
    assert shop.keys("1") == []
