"""Look again, just before an action: is the world still the one that the plan was made for?

The guard that nothing may get around is in the deleting script and in the API server's
preconditions. This one saves work and says why.
"""

from __future__ import annotations

from collections.abc import Iterable

from bullmq_operator.actor.errors import ActError, RefusedError
from bullmq_operator.actor.ports import Kubernetes, World
from bullmq_operator.domain.counts import Unknown
from bullmq_operator.domain.observation import QueueVersion, VersionView
from bullmq_operator.kube.codec import MalformedObjectError, parse_version
from bullmq_operator.queues.connection import RedisConnection


class Guard:
    """Refuses what was planned for another world. Raises RefusedError."""

    def __init__(self, kube: Kubernetes, world: World) -> None:
        self._kube = kube
        self._world = world

    def unchanged(self, view: VersionView) -> None:
        """By what the watches told: cheap, for what can be undone."""
        planned = view.version
        known = self._world.version(planned.key)
        if known is None or known.uid != planned.uid:
            raise RefusedError(f"{planned.key} is gone")
        if known.generation != planned.generation:
            raise RefusedError(f"{planned.key} was edited")
        if known.deleting and not planned.deleting:
            raise RefusedError(f"{planned.key} is being deleted")
        if self._world.is_suspended(planned.key.namespace):
            raise RefusedError(f"namespace {planned.key.namespace} is suspended")

    async def before_deletion(
        self, view: VersionView, siblings: Iterable[VersionView] = ()
    ) -> RedisConnection:
        """By asking anew, for what can't be undone; the connection to do it with.

        The object, with the intent in its status (another process may have brought the version
        back), its namespace, the Secrets that name its Redis, who else names the queue, and the
        family's other versions: whether it is superseded rests on them.
        """
        for sibling in siblings:
            self.unchanged(sibling)
            await self._same_object(sibling)
        now = await self._asked_anew(view)
        if now.status.retirement.started_at is None:
            raise RefusedError(f"{now.key}: its retirement was called off")
        return await self._same_redis(view)

    async def before_pruning(self, view: VersionView) -> RedisConnection:
        """The same for finished jobs of a queue that lives, for which no intent is on record. They
        are many and often, so Secrets are not read for each."""
        await self._asked_anew(view)
        return await self._same_redis(view, fresh=False)

    async def before_migration(self, view: VersionView, target: VersionView) -> RedisConnection:
        """As before a deletion, for jobs that are moved and for the version whose queue gets
        them."""
        await self._asked_anew(target)
        await self._asked_anew(view)
        return await self._same_redis(view)

    async def _asked_anew(self, view: VersionView) -> QueueVersion:
        self.unchanged(view)
        planned, now = view.version, await self._same_object(view)
        if now.deleting:
            raise RefusedError(f"{planned.key} is being deleted")
        if await self._kube.is_suspended(planned.key.namespace):
            raise RefusedError(f"namespace {planned.key.namespace} is suspended")
        claimants = self._world.claimants(now)
        if claimants:
            others = ", ".join(map(str, claimants))
            raise RefusedError(f'queue "{planned.queue.name}" is also named by {others}')
        return now

    async def _same_object(self, view: VersionView) -> QueueVersion:
        planned = view.version
        answer = await self._kube.get_version(planned.key)
        if answer is None:
            self._world.drop_version(planned.key)
            raise RefusedError(f"{planned.key} is gone")
        try:
            now = parse_version(answer)
        except MalformedObjectError as failure:
            raise RefusedError(f"{planned.key} can't be understood: {failure}") from failure
        self._world.put_version(now)
        if now.uid != planned.uid or now.generation != planned.generation:
            raise RefusedError(f"{planned.key} was edited or made anew")
        if now.deleting and not planned.deleting:
            raise RefusedError(f"{planned.key} is being deleted")
        return now

    async def reach(self, view: VersionView) -> RedisConnection:
        """The version's Redis, for what takes nothing away."""
        self.unchanged(view)
        return self._known(await self._world.connection(view.version.queue))

    async def _same_redis(self, view: VersionView, *, fresh: bool = True) -> RedisConnection:
        connection = self._known(await self._world.connection(view.version.queue, fresh=fresh))
        if connection.address != view.redis:
            raise RefusedError(
                f"{view.version.key} was looked at on Redis {view.redis}, and its Redis is "
                f"{connection.address} now"
            )
        return connection

    def _known(self, connection: RedisConnection | Unknown) -> RedisConnection:
        if isinstance(connection, Unknown):
            raise ActError(connection.message)
        return connection
