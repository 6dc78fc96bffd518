"""Desired statuses and Events, written to the API server."""

from __future__ import annotations

import structlog

from bullmq_operator.actor.budget import MonotonicClock, WriteBudget
from bullmq_operator.actor.coarse import CoarseWrites
from bullmq_operator.actor.ports import Kubernetes, World
from bullmq_operator.domain.names import VersionKey
from bullmq_operator.domain.observation import Observation, VersionView
from bullmq_operator.domain.plan import Event
from bullmq_operator.domain.status import Status
from bullmq_operator.kube.codec import MalformedObjectError, parse_version, status_patch
from bullmq_operator.kube.errors import ConflictError, KubeError, NotFoundError

log = structlog.get_logger(__name__)


class Publisher:
    """Writes what changed, and nothing else; what is numbers only, now and then."""

    def __init__(
        self, *, kube: Kubernetes, world: World, budget: WriteBudget, clock: MonotonicClock
    ) -> None:
        self._kube = kube
        self._world = world
        self._budget = budget
        self._clock = clock
        self._coarse = CoarseWrites()

    async def status(self, view: VersionView, status: Status) -> float | None:
        """Write a version's status; seconds until it is to be tried again if it was put off.

        Raises KubeError: ConflictError when the object changed since it was looked at.
        """
        version = view.version
        patch = status_patch(version.status, status)
        if patch:
            wait = self._coarse.due_in(version.key, version.status, status, self._clock.monotonic())
            if wait > 0:
                return wait
            await self._budget.take()
            await self._write(view, patch)
        if view.outcome is not None:
            self._world.outcome_recorded(version.key, view.outcome)
        return None

    async def events(
        self, events: tuple[Event, ...], observation: Observation, unsaid: frozenset[VersionKey]
    ) -> None:
        """Post the Events, but not on versions whose status was not written: the next plan says
        them again. A lost Event is no reason to do anything twice."""
        versions = {view.version.key: view.version for view in observation.versions}
        for event in events:
            if event.version in unsaid:
                continue
            version = self._world.version(event.version) or versions[event.version]
            try:
                await self._kube.post_event(
                    version, event.reason, event.message, event.warning, now=observation.now
                )
            except KubeError as failure:
                log.warning(
                    "event not posted",
                    version=str(event.version),
                    reason=event.reason,
                    error=str(failure),
                )

    async def _write(self, view: VersionView, patch: dict[str, object]) -> None:
        key = view.version.key
        try:
            answer = await self._kube.patch_status(view.version, patch)
        except NotFoundError:
            self._gone(key)
            raise
        except ConflictError:
            await self._look_again(key)
            raise
        self._coarse.written(key, self._clock.monotonic())
        try:
            self._world.put_version(parse_version(answer))
        except MalformedObjectError as failure:
            raise ConflictError(str(failure)) from failure

    async def _look_again(self, key: VersionKey) -> None:
        """Somebody changed the object since it was looked at: the next pass shall have it as it is
        now, also while the watch is silent."""
        try:
            now = await self._kube.get_version(key)
            if now is None:
                self._gone(key)
            else:
                self._world.put_version(parse_version(now))
        except (KubeError, MalformedObjectError) as failure:
            log.info("not looked at again", version=str(key), why=str(failure))

    def _gone(self, key: VersionKey) -> None:
        self._coarse.forget(key)
        self._world.drop_version(key)
