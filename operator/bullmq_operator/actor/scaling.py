"""Workloads to zero and back."""

from __future__ import annotations

from bullmq_operator.actor.guard import Guard
from bullmq_operator.actor.ports import Kubernetes, World
from bullmq_operator.domain.observation import VersionView
from bullmq_operator.domain.plan import RestoreReplicas, ScaleToZero


class Scaling:
    """Scales, provided the workload is still the one that was looked at (uid and
    resourceVersion, checked by the API server); the answer goes into the cache at once."""

    def __init__(self, kube: Kubernetes, world: World, guard: Guard) -> None:
        self._kube = kube
        self._world = world
        self._guard = guard

    async def to_zero(self, action: ScaleToZero, view: VersionView) -> None:
        """Raises RefusedError, KubeError."""
        self._guard.unchanged(view)
        scaled = await self._kube.scale(action.workload, 0)
        self._world.scaled_to_zero(scaled.key)
        self._world.put_workload(scaled)

    async def restore(self, action: RestoreReplicas, view: VersionView) -> None:
        """Raises RefusedError, KubeError."""
        self._guard.unchanged(view)
        scaled = await self._kube.scale(action.workload, action.replicas)
        self._world.restored(scaled.key)
        self._world.put_workload(scaled)
