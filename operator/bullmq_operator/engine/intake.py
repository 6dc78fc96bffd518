"""What watches and lists tell, put into the world's memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import structlog

from bullmq_operator.domain.names import VersionKey, WorkloadKey
from bullmq_operator.domain.observation import QueueVersion, Workload
from bullmq_operator.kube.codec import (
    MalformedObjectError,
    parse_version,
    parse_workload,
    scaling_floor,
)
from bullmq_operator.kube.errors import ForbiddenError

Json = dict[str, Any]
T = TypeVar("T")

_DELETED = "DELETED"
WORKLOAD_KINDS = ("Deployment", "StatefulSet")

_log = structlog.stdlib.get_logger(__name__)


class World(Protocol):
    """The observer's memory; whatever changes in it wakes the families concerned."""

    def versions(self) -> Iterator[QueueVersion]:
        """All versions."""

    def workloads(self) -> Iterator[Workload]:
        """All workloads."""

    def put_version(self, version: QueueVersion) -> None:
        """A version as the API server has it."""

    def drop_version(self, key: VersionKey) -> None:
        """The version is gone."""

    def put_workload(self, workload: Workload) -> None:
        """A workload as the API server has it."""

    def drop_workload(self, key: WorkloadKey) -> None:
        """The workload is gone."""

    def set_resting_at_zero(self, keys: Iterable[WorkloadKey]) -> None:
        """All workloads that an autoscaler with minimum 0 keeps."""


class Lists(Protocol):
    """The calls of kube.client.KubeClient that list."""

    async def list_versions(self, namespace: str | None) -> list[Json]:
        """All QueueVersions."""

    async def list_workloads(self, kind: str, namespace: str | None) -> list[Json]:
        """All workloads of a kind."""

    async def list_autoscalers(self, namespace: str | None) -> list[Json]:
        """All HorizontalPodAutoscalers."""


class Intake:
    """The one way in for Kubernetes objects."""

    def __init__(self, world: World, lists: Lists, namespaces: Sequence[str]) -> None:
        self._world = world
        self._lists = lists
        self._scopes: tuple[str | None, ...] = tuple(namespaces) or (None,)
        self._floors: dict[tuple[str, str], tuple[WorkloadKey, int]] = {}
        self._gone: set[str] = set()
        self.sees_autoscalers = True
        """False once the API server refused to list them; then they are not watched either."""

    def version_event(self, kind: str | None, obj: Json) -> None:
        """A watch event of a QueueVersion."""
        version = _parsed(parse_version, obj)
        if version is None:
            return
        if kind == _DELETED:
            self._gone.add(version.uid)
            self._world.drop_version(version.key)
        else:
            self._world.put_version(version)

    def workload_event(self, kind: str | None, obj: Json) -> None:
        """A watch event of a Deployment or StatefulSet."""
        workload = _parsed(parse_workload, obj)
        if workload is None:
            return
        if kind == _DELETED:
            self._gone.add(workload.uid)
            self._world.drop_workload(workload.key)
        else:
            self._world.put_workload(workload)

    def autoscaler_event(self, kind: str | None, obj: Json) -> None:
        """A watch event of a HorizontalPodAutoscaler."""
        name = _name(obj)
        floor = None if kind == _DELETED else _parsed(scaling_floor, obj)
        if self._floors.get(name) == floor:
            return
        if floor is None:
            self._floors.pop(name)
        else:
            self._floors[name] = floor
        self._tell_floors()

    async def list_all(self) -> None:
        """Bring everything up to date, and drop what the API server no longer has: a deletion in
        a gap of a watch is never told. What a watch tells meanwhile is newer: an object that was
        deleted since the list began does not come back. Raises KubeError."""
        self._gone.clear()
        await self._list_workloads()
        await self._list_autoscalers()
        await self._list_versions()

    async def _list_versions(self) -> None:
        known = {version.key for version in self._world.versions()}
        found = [_parsed(parse_version, obj) for obj in await self._all(self._lists.list_versions)]
        for version in filter(None, found):
            known.discard(version.key)
            if version.uid not in self._gone:
                self._world.put_version(version)
        for key in known:  # only what was known before the list began: newer ones aren't in it
            self._world.drop_version(key)

    async def _list_workloads(self) -> None:
        for kind in WORKLOAD_KINDS:
            known = {w.key for w in self._world.workloads() if w.key.kind == kind}
            objects = [
                obj
                for scope in self._scopes
                for obj in await self._lists.list_workloads(kind, scope)
            ]
            for workload in filter(None, (_parsed(parse_workload, obj) for obj in objects)):
                known.discard(workload.key)
                if workload.uid not in self._gone:
                    self._world.put_workload(workload)
            for key in known:
                self._world.drop_workload(key)

    async def _list_autoscalers(self) -> None:
        if not self.sees_autoscalers:
            return
        try:
            objects = await self._all(self._lists.list_autoscalers)
        except ForbiddenError as error:
            self.sees_autoscalers = False
            _log.warning(
                "workloads at zero under an autoscaler will not count as ready", error=str(error)
            )
            return
        floors = {_name(obj): _parsed(scaling_floor, obj) for obj in objects}
        self._floors = {name: floor for name, floor in floors.items() if floor is not None}
        self._tell_floors()

    async def _all(self, listing: Callable[[str | None], Awaitable[list[Json]]]) -> list[Json]:
        return [obj for scope in self._scopes for obj in await listing(scope)]

    def _tell_floors(self) -> None:
        self._world.set_resting_at_zero(key for key, floor in self._floors.values() if floor == 0)


def _name(obj: Json) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def _parsed(parse: Callable[[Json], T], obj: Json) -> T | None:
    """None, and a line in the log, for an object that the CRD should not have let through."""
    try:
        return parse(obj)
    except MalformedObjectError as error:
        _log.warning("an object can't be understood and is left alone", error=str(error))
        return None
