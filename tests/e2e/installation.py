"""Installs the operator as README.md says, with a poll fast enough for tests; and restarts it."""

from __future__ import annotations

from devcluster.cluster import Cluster
from devcluster.paths import PROJECT_ROOT

SYSTEM = "bullmq-system"
OPERATOR = f"system:serviceaccount:{SYSTEM}:bullmq-operator"
"""Who it is in the API server's audit log."""
PODS = ("pod", "--selector=app.kubernetes.io/name=bullmq-operator")
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
    _wait_until_ready(cluster)


def restart(cluster: Cluster, *, kill: bool = False) -> None:
    """Delete its Pod, with a grace period or without, and wait for the next one."""
    how = ("--grace-period=0", "--force") if kill else ()
    cluster.kubectl("delete", *PODS, *how, namespace=SYSTEM)
    _wait_until_ready(cluster)


def _wait_until_ready(cluster: Cluster) -> None:
    for condition in ("create", "condition=Ready"):
        wait = ("wait", *PODS, f"--for={condition}", "--timeout=60s")
        cluster.kubectl(*wait, namespace=SYSTEM, timeout=70)
