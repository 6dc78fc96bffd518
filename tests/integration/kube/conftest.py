"""The operator's client against a real API server, with the rights of manifests/ and no others.

In: a namespace with the ServiceAccount, Roles and bindings of namespace-install.yaml (without its
Deployment: no operator runs here). Out: what kubectl, as an administrator, sees. Nothing is mocked.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bullmq_operator.domain.names import WorkloadKey
from bullmq_operator.domain.observation import QueueVersion, Workload
from bullmq_operator.kube.client import KubeClient
from bullmq_operator.kube.codec import parse_version, parse_workload
from bullmq_operator.kube.session import Session
from devcluster.cluster import Cluster
from devcluster.paths import locked

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def kubeconfig(cluster: Cluster, namespace: str) -> Path:
    """The operator's identity in the test's namespace."""
    with locked(cluster.state / "crds.lock"):  # two tests that create it at once: one would fail
        cluster.kubectl.apply(ROOT / "crds")
    cluster.wait("crd/queueversions.bullmq-operator.dev", "condition=Established")
    manifest = (ROOT / "manifests/namespace-install.yaml").read_text()
    rights = [one for one in yaml.safe_load_all(manifest) if one["kind"] != "Deployment"]
    cluster.kubectl.apply(rights, namespace=namespace)
    return cluster.kubeconfig_for("bullmq-operator", namespace)


@pytest.fixture
async def client(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    """The client as the operator uses it."""
    connected = KubeClient(await Session.connect({"KUBECONFIG": str(kubeconfig)}))
    yield connected
    await connected.close()


@pytest.fixture
def a_version(cluster: Cluster, namespace: str, kubeconfig: Path) -> Callable[..., QueueVersion]:
    """Create a QueueVersion as a user would."""

    def create(name: str = "orders-v1", **spec: Any) -> QueueVersion:
        manifest = {
            "apiVersion": "bullmq-operator.dev/v1alpha1",
            "kind": "QueueVersion",
            "metadata": {"name": name},
            "spec": {"queue": "orders", "version": "1"} | spec,
        }
        cluster.kubectl.apply(manifest, namespace)
        return parse_version(found(cluster, "queueversion", name, namespace))

    return create


@pytest.fixture
def a_deployment(cluster: Cluster, namespace: str) -> Callable[..., Workload]:
    """Server-side apply a Deployment as a GitOps tool would; its Pods never start (no node has
    the label)."""

    def create(name: str = "orders-v1", replicas: int = 3) -> Workload:
        key = WorkloadKey(namespace, "Deployment", name)
        apply_workload(cluster, key, replicas=replicas)
        return parse_workload(found(cluster, key.kind, name, namespace))

    return create


def apply_workload(cluster: Cluster, key: WorkloadKey, *flags: str, replicas: int) -> None:
    """What a GitOps tool does at each sync. Raises KubectlError on a conflict of managers."""
    manifest = {
        "apiVersion": key.api_version,
        "kind": key.kind,
        "metadata": {"name": key.name, "namespace": key.namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": key.name, "kind": key.kind}},
            "template": {
                "metadata": {"labels": {"app": key.name, "kind": key.kind}},
                "spec": {
                    "nodeSelector": {"nowhere": "at-all"},
                    "containers": [{"name": "worker", "image": "none"}],
                },
            },
        },
    }
    arguments = ("apply", "--server-side", "--field-manager=gitops", "-f", "-", *flags)
    cluster.kubectl(*arguments, namespace=key.namespace, stdin=yaml.safe_dump(manifest))


def found(cluster: Cluster, kind: str, name: str, namespace: str) -> dict[str, Any]:
    """The object as kubectl sees it, managedFields included."""
    shown = ("get", kind, name, "-o", "json", "--show-managed-fields")
    loaded: dict[str, Any] = json.loads(cluster.kubectl(*shown, namespace=namespace))
    return loaded


def with_token_file(kubeconfig: Path, folder: Path) -> tuple[Path, Path]:
    """A copy of a kubeconfig whose token stands in a file of its own, as the kubelet's do."""
    config = yaml.safe_load(kubeconfig.read_text())
    token = folder / "token"
    token.write_text(config["users"][0]["user"].pop("token"))
    config["users"][0]["user"]["tokenFile"] = "token"  # relative to the kubeconfig
    own = folder / "kubeconfig"
    own.write_text(yaml.safe_dump(config))
    return own, token


def with_server(kubeconfig: Path, folder: Path, server: str) -> Path:
    """A copy of a kubeconfig that leads elsewhere."""
    config = yaml.safe_load(kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = server
    own = folder / "kubeconfig"
    own.write_text(yaml.safe_dump(config))
    return own
