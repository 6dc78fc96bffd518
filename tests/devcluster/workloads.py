"""Small manifests, and questions about what became of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster.cluster import Cluster

Json = dict[str, Any]


def container(*command: str, **fields: Any) -> Json:
    """A container of an image that is nowhere: its command is all that runs."""
    return {"name": "main", "image": "local/anything", "command": list(command), **fields}


def shell(script: str, **fields: Any) -> Json:
    """A container that runs a shell script."""
    return container("sh", "-c", script, **fields)


@dataclass(frozen=True)
class Workloads:
    """Everything in one namespace."""

    cluster: Cluster
    namespace: str

    def run(self, *containers: Json, name: str = "pod", **spec: Any) -> None:
        """Create one Pod."""
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"containers": list(containers), **spec},
        }
        self.cluster.kubectl.apply(pod, self.namespace)

    def deploy(self, one: Json, *, name: str = "web", replicas: int = 1, **spec: Any) -> None:
        """Create a Deployment."""
        labels = {"app": name}
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [one], **spec}},
            },
        }
        self.cluster.kubectl.apply(deployment, self.namespace)

    def kubectl(self, *args: str) -> str:
        """kubectl in the namespace."""
        return self.cluster.kubectl(*args, namespace=self.namespace)

    def pods(self) -> list[Json]:
        """All Pods, terminating ones too."""
        return list(self.cluster.kubectl.list("pods", self.namespace))

    def pod(self, name: str = "pod") -> Json:
        """One Pod that exists."""
        found = self.cluster.kubectl.get("pod", name, self.namespace)
        assert found is not None
        return found

    def folder(self, pod: Json) -> Path:
        """The working folder of a Pod's processes."""
        uid: str = pod["metadata"]["uid"]
        return self.cluster.state / "pods" / uid

    def status_of(self, name: str = "pod") -> Json:
        """The status of a Pod's only container; empty before the node wrote it."""
        statuses = self.pod(name)["status"].get("containerStatuses") or [{}]
        status: Json = statuses[0]
        return status

    def waiting_reason(self, name: str = "pod") -> tuple[str, str] | None:
        """Why a container is not started: reason and message."""
        waiting = self.status_of(name).get("state", {}).get("waiting", {})
        return (waiting["reason"], waiting.get("message", "")) if waiting else None

    def logs(self, name: str = "pod", *flags: str) -> str:
        """`kubectl logs`; empty while there are none."""
        done = self.cluster.try_kubectl("logs", name, *flags, namespace=self.namespace)
        return done.stdout

    def wait_until(self, probe: Callable[[], Any], what: str, timeout: float = 30.0) -> Any:
        """Wait for a condition."""
        return self.cluster.wait_until(probe, what, timeout)

    def wait_ready(self, name: str = "pod") -> None:
        """Wait for a Pod to be Ready."""
        self.cluster.wait(f"pod/{name}", "condition=Ready", self.namespace)

    def wait_gone(self) -> None:
        """Wait until no Pod is left."""
        self.wait_until(lambda: not self.pods(), "no Pod left")
