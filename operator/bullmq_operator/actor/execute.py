"""Carries out a plan: statuses first, so that whatever an action needs to be undone or recognised
is on record; then actions in their order; then Events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import assert_never

import structlog

from bullmq_operator.actor.errors import ActError, IncompleteError, RefusedError
from bullmq_operator.actor.migration import Migration
from bullmq_operator.actor.ports import World
from bullmq_operator.actor.pruning import Pruning
from bullmq_operator.actor.publishing import Publisher
from bullmq_operator.actor.retirement import Retirement
from bullmq_operator.actor.scaling import Scaling
from bullmq_operator.domain.names import FamilyKey, VersionKey
from bullmq_operator.domain.observation import Observation, VersionView
from bullmq_operator.domain.plan import (
    Action,
    MigrateJobs,
    Plan,
    PruneFinished,
    RestoreReplicas,
    RestoreSettings,
    RetireQueue,
    ScaleToZero,
    SweepRecreated,
)
from bullmq_operator.domain.status import Status
from bullmq_operator.kube.errors import ConflictError, KubeError, NotFoundError
from bullmq_operator.queues.errors import QueueReadError

log = structlog.get_logger(__name__)

SOON_S = 1.0
"""After a conflict or a refusal, should nothing wake the family before."""
SUSPENDED_S = 15.0
"""Namespaces are not watched: while one is frozen, its annotation is looked at this often."""


@dataclass(slots=True)
class _Pass:
    """One execution: who stopped, what failed, when to look again."""

    stopped: set[VersionKey] = field(default_factory=set)
    unsaid: set[VersionKey] = field(default_factory=set)
    failures: dict[VersionKey, str] = field(default_factory=dict)
    look_again: float | None = None

    def again_in(self, seconds: float) -> None:
        self.look_again = seconds if self.look_again is None else min(self.look_again, seconds)


class Executor:
    """The only place where a plan has effects."""

    def __init__(
        self,
        *,
        publisher: Publisher,
        scaling: Scaling,
        retirement: Retirement,
        pruning: Pruning,
        migration: Migration,
        world: World,
        wake: Callable[[FamilyKey], None],
    ) -> None:
        self._world = world
        self._publisher = publisher
        self._scaling = scaling
        self._retirement = retirement
        self._pruning = pruning
        self._migration = migration
        self._wake = wake

    async def execute(self, plan: Plan, observation: Observation) -> float | None:
        """Seconds until the family is to be looked at again because of what was put off or had
        changed; None if nothing was.

        A version stops at its first failure, the others go on. Raises IncompleteError at the end
        if anything failed.
        """
        views = {view.version.key: view for view in observation.versions}
        this = _Pass()
        if observation.suspended:
            this.again_in(SUSPENDED_S)
        for key, status in plan.statuses:
            await self._attempt(this, key, self._status(this, views[key], status))
        this.unsaid.update(this.stopped)
        for action in plan.actions:
            if action.version in this.stopped or _is_unrecorded(action, this.unsaid, views):
                continue
            done = self._act(action, views)
            if await self._attempt(this, action.version, done):
                self._wake(observation.family)
        for key in views.keys() - this.unsaid:
            self._world.acted(key, this.failures.get(key))
        await self._publisher.events(plan.events, observation, frozenset(this.unsaid))
        if this.failures:
            raise IncompleteError(tuple(f"{key}: {why}" for key, why in this.failures.items()))
        return this.look_again

    async def _attempt(self, this: _Pass, key: VersionKey, done: Awaitable[None]) -> bool:
        """Whether it was done. What the world overtook is looked at again soon; what failed is
        told, and tried again with back-off."""
        try:
            await done
        except (ConflictError, NotFoundError, RefusedError) as change:
            log.info("overtaken", version=str(key), why=str(change))
            this.stopped.add(key)
            this.again_in(SOON_S)
            return False
        except (KubeError, QueueReadError, ActError) as failure:
            this.stopped.add(key)
            this.failures[key] = str(failure)
            return False
        return True

    async def _status(self, this: _Pass, view: VersionView, status: Status) -> None:
        put_off = await self._publisher.status(view, status)
        if put_off is not None:
            this.again_in(put_off)

    async def _act(self, action: Action, views: Mapping[VersionKey, VersionView]) -> None:
        view = views[action.version]
        log.info("acting", action=type(action).__name__, version=str(action.version))
        match action:
            case ScaleToZero():
                await self._scaling.to_zero(action, view)
            case RestoreReplicas():
                await self._scaling.restore(action, view)
            case RetireQueue():
                siblings = [one for key, one in views.items() if key != action.version]
                await self._retirement.retire(action, view, siblings)
            case SweepRecreated():
                await self._retirement.sweep(action, view)
            case RestoreSettings():
                await self._retirement.restore_settings(action, view)
            case PruneFinished():
                await self._pruning.prune(action, view)
            case MigrateJobs():
                await self._migration.migrate(action, view, views[action.target])
            case _:
                assert_never(action)


def _is_unrecorded(
    action: Action, unsaid: Collection[VersionKey], views: Mapping[VersionKey, VersionView]
) -> bool:
    """Whether a version that shares the workload could not note down what it had: nobody would
    bring its replicas back."""
    if not isinstance(action, ScaleToZero):
        return False
    versions = (views[key].version for key in unsaid)
    named = {version.workload(ref) for version in versions for ref in version.spec.workers}
    return action.workload.key in named
