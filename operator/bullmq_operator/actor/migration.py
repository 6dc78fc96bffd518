"""Moves the jobs of one version's queue to another's."""

from __future__ import annotations

from bullmq_operator.actor.guard import Guard
from bullmq_operator.actor.ports import World
from bullmq_operator.clock import Clock
from bullmq_operator.domain.counts import RetirementOutcome
from bullmq_operator.domain.migration import MigrationOutcome, MigrationRun
from bullmq_operator.domain.observation import VersionView
from bullmq_operator.domain.plan import MigrateJobs
from bullmq_operator.queues.migration import migrate_queue


class Migration:
    """Each call moves whole jobs in one step of Redis, so a run may end anywhere, and another goes
    on where it ended."""

    def __init__(self, world: World, guard: Guard, clock: Clock) -> None:
        self._world = world
        self._guard = guard
        self._clock = clock

    async def migrate(self, action: MigrateJobs, view: VersionView, target: VersionView) -> None:
        """What no worker has. Raises ActError, KubeError, QueueReadError.

        What was moved before a failure is counted all the same. Between two calls the objects are
        looked at: who takes the order back (a rollback, more time) has the rest left alone.
        """
        connection = await self._guard.before_migration(view, target)
        moved = 0

        def keep(progress: MigrationOutcome) -> None:
            nonlocal moved
            moved = progress.migrated_jobs
            self._guard.unchanged(view)
            self._guard.unchanged(target)

        try:
            outcome = await migrate_queue(
                connection,
                action.queue,
                action.target_queue,
                id_prefix=action.id_prefix,
                on_progress=keep,
            )
        finally:
            if moved:
                self._world.put_outcome(action.version, RetirementOutcome(migrated_jobs=moved))
        run = MigrationRun(action.target_queue, self._clock.now(), outcome)
        self._world.migrated(action.version, run)
