"""The operator as it is shipped, on a real cluster: its manifests, its ServiceAccount, its image's
command. A test acts with kubectl and BullMQ as users do, and reads what kubectl and Redis show.

The stories have a cluster of their own: an operator that watches all namespaces would meddle with
other tests' objects.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from devcluster.cluster import Cluster
from devcluster.paths import locked
from devcluster.redis_server import RedisServer
from tests.e2e.installation import install
from tests.e2e.shop import Shop
from tests.support.cluster import shared_cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """With the operator in it; one for all workers of the run."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with shared_cluster(folder / "e2e") as shared:
        with locked(folder / "e2e-install.lock"):
            install(shared)
        yield shared


@pytest.fixture
def shop(cluster: Cluster, namespace: str, redis_server: RedisServer) -> Iterator[Shop]:
    """A team's namespace, and a Redis of its own."""
    with redis_server.client() as client:
        yield Shop(cluster, namespace, redis_server, client)
