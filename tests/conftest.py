"""What every test may ask for: a real cluster, a namespace in it, a real Redis.

`cluster` is shared by the whole run, so a test must not disturb it: one that kills its API server
or its node takes `own_cluster`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from devcluster.cluster import Cluster
from devcluster.redis_server import RedisServer
from tests.support.cluster import describe_namespace, fresh_namespace, shared_cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One per run, also with several workers."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # getbasetemp() is the worker's own; its parent is the run's
    with shared_cluster(folder / "devcluster") as shared:
        yield shared


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """One that the test may break."""
    with Cluster.create() as own:
        yield own


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own in the shared cluster."""
    with fresh_namespace(cluster, request.node.name.removeprefix("test_")) as name:
        yield name


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """An empty Redis of the test's own."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """Its URL."""
    return redis_server.url


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Show the test's namespace with a failure."""
    report = yield
    arguments = getattr(item, "funcargs", {})
    if report.when == "call" and report.failed and {"cluster", "namespace"} <= arguments.keys():
        cluster: Cluster = arguments["cluster"]
        logs = cluster.state / "pod-logs"
        text = describe_namespace(cluster.kubectl, arguments["namespace"], logs)
        report.sections.append(("the test's namespace", text))
    return report
