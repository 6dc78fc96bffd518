"""Installs the operator as README.md says, with a poll fast enough for tests."""

from __future__ import annotations

from devcluster.cluster import Cluster
from devcluster.paths import PROJECT_ROOT

SYSTEM = "bullmq-system"
USER = f"system:serviceaccount:{SYSTEM}:bullmq-operator"
SETTINGS = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "bullmq-operator-settings"},
    "data": {"BULLMQ_OPERATOR_POLL_INTERVAL": "500ms"},
}


def install(cluster: Cluster) -> None:
    """Apply all and wait until it is ready; again is harmless."""
    cluster.kubectl.apply(PROJECT_ROOT / "manifests" / "cluster" / "namespace.yaml")
    cluster.kubectl.apply(SETTINGS, SYSTEM)
    cluster.kubectl.apply(PROJECT_ROOT / "crds")
    cluster.kubectl.apply(PROJECT_ROOT / "manifests" / "install.yaml")
    rollout = ("rollout", "status", "deployment/bullmq-operator", "--timeout=60s")
    cluster.kubectl(*rollout, namespace=SYSTEM, timeout=70)
