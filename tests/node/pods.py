"""Pods as a careful team writes them, and questions about one that runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from devcluster.nodetier.images import WORKER
from devcluster.nodetier.tier import NodeTier

Json = dict[str, Any]

POD_SECURITY: Json = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY: Json = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def pod_spec(*, image: str = WORKER, environment: Json | None = None, **container: Any) -> Json:
    """What the Pod security standard *restricted* demands, around one container."""
    env = [{"name": name, "value": value} for name, value in (environment or {}).items()]
    main = {"name": "main", "image": image, "env": env, "securityContext": CONTAINER_SECURITY}
    return {"securityContext": POD_SECURITY, "containers": [main | container]}


def a_pod(name: str, spec: Json) -> Json:
    """A Pod on its own, which is not started again."""
    metadata = {"name": name}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"restartPolicy": "Never", **spec},
    }


@dataclass(frozen=True, slots=True)
class Pod:
    """One Pod that runs."""

    tier: NodeTier
    namespace: str
    name: str

    def run(self, *command: str) -> str:
        """What a command prints inside."""
        return self.tier.kubectl("exec", self.name, "--", *command, namespace=self.namespace)

    def python(self, program: str) -> Any:
        """The value that a Python program prints inside, as JSON."""
        return json.loads(self.run("python3", "-c", program))

    def object(self) -> Json:
        """As the API has it."""
        found = self.tier.kubectl.get("pod", self.name, self.namespace)
        assert found is not None, f"no pod {self.name}"
        return found

    def restarts(self) -> int:
        """How often kubelet has started its container again."""
        [status] = self.object()["status"]["containerStatuses"]
        count: int = status["restartCount"]
        return count

    def process(self) -> dict[str, str]:
        """/proc/1/status: the kernel's own words on the container's process."""
        lines = self.run("cat", "/proc/1/status").splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
