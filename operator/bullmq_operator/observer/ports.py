"""What the observer asks of the world below it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from bullmq_operator.domain.names import SecretKeyRef


class Clock(Protocol):
    """The machine's clocks."""

    def now(self) -> datetime:
        """Wall time in UTC."""

    def monotonic(self) -> float:
        """Seconds that only go forward."""


class Secrets(Protocol):
    """Reading one key of a Secret or ConfigMap."""

    async def read_secret_key(self, namespace: str, ref: SecretKeyRef) -> str:
        """Raises SecretNotFoundError, SecretKeyNotFoundError or another KubeError."""


class Kubernetes(Secrets, Protocol):
    """The calls of kube.client.KubeClient that only read."""

    async def pods(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        """All Pods that match a label selector, terminating ones included."""

    async def is_suspended(self, namespace: str) -> bool:
        """Whether the namespace is annotated `bullmq-operator.dev/suspend: "true"`."""
