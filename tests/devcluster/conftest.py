"""The process node and its clusters are tested from outside: kubectl on one side, processes and
Redis on the other.
"""

from __future__ import annotations

import pytest

from devcluster.cluster import Cluster
from tests.devcluster.workloads import Workloads


@pytest.fixture
def workloads(cluster: Cluster, namespace: str) -> Workloads:
    """Makes Pods and Deployments in the test's namespace."""
    return Workloads(cluster, namespace)
