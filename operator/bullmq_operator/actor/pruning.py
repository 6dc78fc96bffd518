"""Keeps finished jobs within `spec.retention`."""

from __future__ import annotations

from bullmq_operator.actor.guard import Guard
from bullmq_operator.actor.ports import Tally, World
from bullmq_operator.clock import Clock
from bullmq_operator.domain.observation import VersionView
from bullmq_operator.domain.plan import PruneFinished
from bullmq_operator.queues.retention import prune


class Pruning:
    """Removes what is due. Nothing rests on it, and it may be repeated at any time."""

    def __init__(self, world: World, guard: Guard, clock: Clock, tally: Tally) -> None:
        self._world = world
        self._guard = guard
        self._clock = clock
        self._tally = tally

    async def prune(self, action: PruneFinished, view: VersionView) -> None:
        """Completed, then failed jobs. Raises RefusedError, KubeError, QueueReadError.

        Asked anew as before any deletion: the queue may be another one's by now, or be draining.
        """
        connection = await self._guard.before_pruning(view)
        is_done = True
        limits = (("completed", action.retention.completed), ("failed", action.retention.failed))
        for state, keep in limits:
            if keep is None:
                continue
            pruned = await prune(connection, action.queue, state, keep)
            self._tally.pruned(view.version, state, pruned.removed, pruned.bytes_freed)
            is_done = is_done and pruned.is_done
        if is_done:
            self._world.pruned(action.version, self._clock.now())
