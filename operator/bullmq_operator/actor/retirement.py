"""The steps of a retirement that change Redis."""

from __future__ import annotations

from collections.abc import Collection

from bullmq_operator.actor.errors import ActError, RefusedError
from bullmq_operator.actor.guard import Guard
from bullmq_operator.actor.ports import World
from bullmq_operator.domain.counts import RetirementOutcome
from bullmq_operator.domain.observation import VersionView
from bullmq_operator.domain.plan import RestoreSettings, RetireQueue, SweepRecreated
from bullmq_operator.queues.retirement import restore_settings, retire_queue, sweep_recreated


class Retirement:
    """Each step is repeatable; each deleting call is guarded by the stamp inside Redis."""

    def __init__(self, world: World, guard: Guard) -> None:
        self._world = world
        self._guard = guard

    async def retire(
        self, action: RetireQueue, view: VersionView, siblings: Collection[VersionView]
    ) -> None:
        """Slices, sweep, close. Raises RefusedError, ActError, KubeError, QueueReadError.

        A queue of millions takes minutes: it stops between two calls once the version or one of
        its family is edited, frozen or deleted. What was deleted before a failure is counted all
        the same. A refusal of the guard inside Redis counts as a failure, so that what is refused
        again and again is tried less and less.
        """
        connection = await self._guard.before_deletion(view, siblings)
        so_far = RetirementOutcome()

        def keep(progress: RetirementOutcome) -> None:
            nonlocal so_far
            so_far = progress
            if not progress.closed:
                for one in (view, *siblings):
                    self._guard.unchanged(one)

        try:
            so_far = await retire_queue(
                connection, action.queue, action.inventory, action.stamp, keep
            )
        finally:
            if so_far != RetirementOutcome():
                self._world.put_outcome(action.version, so_far)
        if not so_far.closed:
            raise ActError(f'deleting queue "{action.queue.name}" stopped: {so_far.stopped_by}')

    async def sweep(self, action: SweepRecreated, view: VersionView) -> None:
        """Keys without jobs. Raises RefusedError (the next look tells what they are), KubeError,
        QueueReadError."""
        connection = await self._guard.before_deletion(view)
        outcome = await sweep_recreated(connection, action.queue)
        if outcome.stopped_by is not None:
            raise RefusedError(
                f'keys of queue "{action.queue.name}" are left alone: {outcome.stopped_by}'
            )
        if outcome.swept_keys:
            self._world.put_outcome(action.version, outcome)

    async def restore_settings(self, action: RestoreSettings, view: VersionView) -> None:
        """Where they are absent. Raises RefusedError, QueueReadError."""
        connection = await self._guard.reach(view)
        await restore_settings(connection, action.queue, dict(action.settings))
