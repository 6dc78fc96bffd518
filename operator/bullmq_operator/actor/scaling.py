"""Workloads to zero and back."""

from __future__ import annotations

import structlog

from bullmq_operator.actor.guard import Guard
from bullmq_operator.actor.ports import Kubernetes, World
from bullmq_operator.domain.names import WorkloadKey
from bullmq_operator.domain.observation import VersionView, Workload
from bullmq_operator.domain.plan import RestoreReplicas, ScaleToZero
from bullmq_operator.kube.codec import MalformedObjectError, parse_workload
from bullmq_operator.kube.errors import ConflictError, KubeError, NotFoundError

log = structlog.get_logger(__name__)


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
        scaled = await self._scale(action.workload, 0)
        self._world.scaled_to_zero(scaled.key)
        self._world.put_workload(scaled)

    async def restore(self, action: RestoreReplicas, view: VersionView) -> None:
        """Raises RefusedError, KubeError."""
        self._guard.unchanged(view)
        scaled = await self._scale(action.workload, action.replicas)
        self._world.restored(scaled.key)
        self._world.put_workload(scaled)

    async def _scale(self, workload: Workload, replicas: int) -> Workload:
        try:
            return await self._kube.scale(workload, replicas)
        except NotFoundError:
            self._world.drop_workload(workload.key)
            raise
        except ConflictError:
            await self._look_again(workload.key)
            raise

    async def _look_again(self, key: WorkloadKey) -> None:
        """Somebody changed it since it was looked at: the next pass shall have it as it is now,
        also while the watch is silent."""
        try:
            now = await self._kube.get_workload(key)
            if now is None:
                self._world.drop_workload(key)
            else:
                self._world.put_workload(parse_workload(now))
        except (KubeError, MalformedObjectError) as failure:
            log.info("not looked at again", workload=str(key), why=str(failure))
