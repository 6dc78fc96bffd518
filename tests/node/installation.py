"""The operator as it is installed: its Pod, its logs, its end points."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from devcluster.nodetier.tier import NodeTier
from tests.node.pods import Pod

NAMESPACE = "bullmq-system"
DEPLOYMENT = "deployment/bullmq-operator"
SELECTOR = "app.kubernetes.io/name=bullmq-operator"


@dataclass(frozen=True, slots=True)
class Operator:
    """Its Deployment in its namespace."""

    tier: NodeTier

    def wait_ready(self) -> None:
        """Wait until kubelet's probes say that it is ready."""
        rollout = ("rollout", "status", DEPLOYMENT, "--timeout=60s")
        self.tier.kubectl(*rollout, namespace=NAMESPACE, timeout=70)

    def pod(self) -> Pod:
        """Its only Pod."""
        [found] = self.tier.kubectl.list("pods", NAMESPACE, selector=SELECTOR)
        return Pod(self.tier, NAMESPACE, found["metadata"]["name"])

    def logs(self) -> str:
        """Everything that its container printed."""
        return self.tier.kubectl("logs", DEPLOYMENT, namespace=NAMESPACE)

    def get(self, path: str) -> str:
        """One of its HTTP end points, reached through the API server."""
        pod = self.pod().name
        proxy = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:8080/proxy{path}"
        return self.tier.kubectl("get", f"--raw={proxy}")

    def lease(self) -> dict[str, Any]:
        """Its Lease."""
        answer = self.tier.kubectl(
            "get", "lease", "bullmq-operator", "-o", "json", namespace=NAMESPACE
        )
        spec: dict[str, Any] = json.loads(answer)["spec"]
        return spec
