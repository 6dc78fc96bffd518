"""The actor put together as the app does it."""

from __future__ import annotations

from bullmq_operator.actor.budget import WriteBudget
from bullmq_operator.actor.execute import Executor
from bullmq_operator.actor.guard import Guard
from bullmq_operator.actor.migration import Migration
from bullmq_operator.actor.pruning import Pruning
from bullmq_operator.actor.publishing import Publisher
from bullmq_operator.actor.retirement import Retirement
from bullmq_operator.actor.scaling import Scaling
from bullmq_operator.clock import Clock
from bullmq_operator.domain.counts import Unknown
from bullmq_operator.domain.names import FamilyKey
from bullmq_operator.domain.observation import Observation, QueueVersion, VersionView
from bullmq_operator.domain.plan import Plan, RetireQueue
from bullmq_operator.kube.client import KubeClient
from bullmq_operator.observer.backends import Backends, DefaultRedis
from bullmq_operator.observer.cache import Cache
from bullmq_operator.observer.contests import Contests
from bullmq_operator.observer.outcomes import Outcomes
from bullmq_operator.observer.world import ObservedWorld
from bullmq_operator.queues.counts import read_queue
from bullmq_operator.queues.inventory import take_inventory


class Hands:
    """Executes plans."""

    def __init__(self, kube: KubeClient) -> None:
        clock = Clock()
        self.clock, self.kube = clock, kube
        self.cache, self.contests, self.outcomes = Cache(), Contests(), Outcomes()
        self.backends = Backends(kube, DefaultRedis(), clock)
        self.woken: list[FamilyKey] = []
        self.tally: list[tuple[str, int]] = []
        self.world = ObservedWorld(
            cache=self.cache,
            backends=self.backends,
            contests=self.contests,
            outcomes=self.outcomes,
            wake=self.woken.append,
        )
        guard = Guard(kube, self.world)
        self._executor = Executor(
            publisher=Publisher(
                kube=kube, world=self.world, budget=WriteBudget(clock), clock=clock
            ),
            scaling=Scaling(kube, self.world, guard),
            retirement=Retirement(self.world, guard),
            pruning=Pruning(self.world, guard, clock, self),
            migration=Migration(self.world, guard, clock),
            world=self.world,
            wake=self.woken.append,
        )

    def pruned(self, version: QueueVersion, state: str, jobs: int, bytes_freed: int) -> None:
        """Counts for the metrics."""
        assert (bytes_freed > 0) is (jobs > 0)
        self.tally.append((state, jobs))

    async def observed(self, *versions: QueueVersion) -> Observation:
        """These versions, put into the cache, as an observation of their family."""
        for version in versions:
            self.cache.upsert_version(version)
        views = [await self._view(version) for version in versions]
        return Observation(self.clock.now(), versions[0].family, tuple(views))

    async def execute(self, plan: Plan, observation: Observation) -> float | None:
        """Carry it out."""
        return await self._executor.execute(plan, observation)

    async def retirement_of(self, version: QueueVersion) -> RetireQueue:
        """The action for the queue as it is now."""
        connection = await self.backends.connection(version.queue)
        assert not isinstance(connection, Unknown)
        inventory = await take_inventory(connection, version.queue)
        return RetireQueue(version.key, version.queue, inventory.stamp, inventory)

    async def _view(self, version: QueueVersion) -> VersionView:
        outcome = self.outcomes.last(version.key)
        connection = await self.backends.connection(version.queue)
        if isinstance(connection, Unknown):
            return VersionView(version, connection, outcome=outcome)
        reading = await read_queue(connection, version.queue.base)
        return VersionView(version, reading, redis=connection.address, outcome=outcome)
