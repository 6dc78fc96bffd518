"""The shipped image and manifests on a real kubelet: nothing here runs as a process of the test.

Everything is asked through kubectl, as a user would; Redis is read through its socket, and only to
see what became of a queue. Where the tier can't run, each test is skipped with the reason.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from devcluster.nodetier.prerequisites import UnavailableError
from devcluster.nodetier.tier import NodeTier
from devcluster.paths import PROJECT_ROOT
from tests.node.installation import NAMESPACE, Operator
from tests.node.shop import Shop

TIER = pytest.StashKey[NodeTier]()
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"


@pytest.fixture(scope="session")
def tier(request: pytest.FixtureRequest) -> Iterator[NodeTier]:
    """One node for the whole run."""
    try:
        started = NodeTier.create()
    except UnavailableError as error:
        pytest.skip(f"the node tier can't run on this machine: {error}")
    with started:
        request.session.stash[TIER] = started
        yield started


@pytest.fixture(scope="session")
def operator(tier: NodeTier) -> Operator:
    """The operator, installed as README.md says and ready."""
    secret = ("secret", "generic", "bullmq-operator-redis", f"--from-literal=url={tier.redis_url}")
    tier.kubectl("apply", "-f", str(PROJECT_ROOT / "crds"))
    tier.kubectl("apply", "-f", str(PROJECT_ROOT / "manifests" / "install.yaml"))
    tier.kubectl("create", *secret, namespace=NAMESPACE)
    operator = Operator(tier)
    operator.wait_ready()
    return operator


@pytest.fixture
def shop(tier: NodeTier, client: redis.Redis) -> Iterator[Shop]:
    """A team's namespace that admits restricted Pods only, for BullMQ workers and producers."""
    namespace = f"shop-{secrets.token_hex(3)}"
    tier.kubectl("create", "namespace", namespace)
    tier.kubectl("label", "namespace", namespace, RESTRICTED)
    yield Shop(tier, namespace, client)
    tier.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def client(tier: NodeTier) -> Iterator[redis.Redis]:
    """The Redis of the workers, read from outside."""
    with redis.Redis(unix_socket_path=str(tier.redis_socket), decode_responses=True) as connection:
        yield connection


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Show what a person would look at first when a test failed."""
    report = yield
    tier = item.session.stash.get(TIER, None)  # there even if another fixture could not be made
    if report.failed and tier is not None:
        report.sections.append(("the node", describe(tier)))
    return report


def describe(tier: NodeTier) -> str:
    """Pods, objects and Events everywhere, and the operator's last words."""
    questions = (
        ("get", "pods,deployments,queueversions", "--all-namespaces", "-o", "wide"),
        ("get", "events", "--all-namespaces", "--sort-by=.metadata.creationTimestamp"),
        ("logs", "deployment/bullmq-operator", "--namespace", NAMESPACE, "--tail=40"),
        ("logs", "deployment/bullmq-operator", "--namespace", NAMESPACE, "--tail=40", "--previous"),
    )
    return "\n".join(tier.kubectl.run(*question).stdout for question in questions)
