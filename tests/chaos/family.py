"""A family on a real Redis, and a model of Kubernetes: objects, replicas, Pods.

The operator here is its own reader, planner and deleting calls. What it writes to Kubernetes goes
to the model, which outlives it: the process itself can be killed at any of its calls.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import timedelta

from bullmq_operator.clock import Clock
from bullmq_operator.domain.counts import Inventory, RetirementOutcome, Unknown
from bullmq_operator.domain.names import RedisSource, VersionKey
from bullmq_operator.domain.observation import Observation, Pods, QueueVersion, VersionView
from bullmq_operator.domain.plan import (
    Action,
    Plan,
    RestoreReplicas,
    RestoreSettings,
    RetireQueue,
    ScaleToZero,
    SweepRecreated,
)
from bullmq_operator.domain.spec import (
    Activation,
    ActivationPolicy,
    Drain,
    FailedJobs,
    Retire,
    State,
)
from bullmq_operator.domain.status import Status
from bullmq_operator.planner import plan
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.errors import QueueReadError
from bullmq_operator.queues.inventory import read_settings, take_inventory
from bullmq_operator.queues.retirement import restore_settings, retire_queue, sweep_recreated
from tests.chaos.ground import Ground
from tests.chaos.wire import Command, CutError, Hook, nothing
from tests.integration.observer.support import Eyes
from tests.support.builders import ATTACHED, a_version, a_workload_view

AT_ONCE = {
    "activation": Activation(ActivationPolicy.IMMEDIATE),
    "drain": Drain(quiet_period=timedelta(0)),
    "retire": Retire(delay=timedelta(0), failed_jobs=FailedJobs.DISCARD),
}
"""Nothing is waited for: the guard alone stands between a late job and its deletion."""


class KilledError(Exception):
    """The operator's process is gone."""


@dataclass
class Fleet:
    """A workload: what is wanted, and how many Pods there are still."""

    replicas: int = 1
    pods: int = 1


class Family:
    """Versions of `orders`, their workers, and the operator's process."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.versions: dict[VersionKey, QueueVersion] = {}
        self.fleets: dict[VersionKey, Fleet] = {}
        self._calls_left: int | None = None
        self._intruder: Hook = nothing
        self._start()

    def _start(self) -> None:
        """A new process knows nothing."""
        self._eyes = Eyes()
        self._outcomes: dict[VersionKey, RetirementOutcome] = {}

    def close(self) -> None:
        """Let go of Redis."""
        self.ground.run(self._eyes.backends.close())

    def deploy(self, number: str) -> VersionKey:
        """A version with one worker."""
        source = RedisSource(url=self.ground.wire.url)
        version = a_version(number, status=Status(), redis=source, **AT_ONCE)
        self.versions[version.key] = version
        self.fleets[version.key] = Fleet()
        return version.key

    def turn(self, key: VersionKey, state: State) -> None:
        """Somebody edits spec.state."""
        old = self.versions[key]
        spec = replace(old.spec, state=state)
        self.versions[key] = replace(old, spec=spec, generation=old.generation + 1)

    # --- the operator ----------------------------------------------------------------------------

    def reconcile(self, killed_at: int | None = None, intruder: Hook | None = None) -> Plan | None:
        """One pass; None if the process was killed in it, or Redis could not be read. The intruder
        is told of each command before Redis gets it."""
        self._calls_left = killed_at
        self._intruder = intruder or nothing
        self.ground.wire.reset()
        self.ground.wire.before = self._before_redis
        try:
            return self.ground.run(self._pass())
        except KilledError:
            self.close()
            self._start()
            return None
        except QueueReadError:
            if self._calls_left is not None and self._calls_left <= 0:
                self.close()
                self._start()
            return None
        finally:
            self.ground.wire.open_again()

    def _before_redis(self, number: int, command: Command) -> None:
        self._intruder(number, command)
        try:
            self._before_call()
        except KilledError as killed:
            self.ground.wire.cut()
            raise CutError from killed

    def _before_call(self) -> None:
        if self._calls_left is None:
            return
        self._calls_left -= 1
        if self._calls_left <= 0:
            raise KilledError

    async def _pass(self) -> Plan:
        observation = await self._observe(())
        result = plan(observation)
        if result.inventories:
            observation = await self._observe(result.inventories)
            result = plan(observation)
        for key, status in result.statuses:
            if self.versions[key].status != status:
                self._before_call()
                self.versions[key] = replace(self.versions[key], status=status)
            self._outcomes.pop(key, None)
        for action in result.actions:
            await self._act(action)
        return result

    async def _observe(self, walked: Collection[VersionKey]) -> Observation:
        views = [await self._view(v, v.key in walked) for v in self.versions.values()]
        return Observation(Clock().now(), views[0].version.family, tuple(views))

    async def _view(self, version: QueueVersion, walked: bool) -> VersionView:
        seen = await self._eyes.look(version, insist=True)
        inventory: Inventory | Unknown | None = None
        settings = None
        if not isinstance(seen.reading, Unknown):
            connection = await self._connection(version)
            settings = await read_settings(connection, version.queue.base)
            if walked:
                inventory = await take_inventory(connection, version.queue)
        fleet = self.fleets[version.key]
        [ref] = version.spec.workers
        pods = Pods(fleet.pods, terminating=max(fleet.pods - fleet.replicas, 0), ready=fleet.pods)
        return VersionView(
            version,
            seen.reading,
            redis=seen.redis,
            clients=ATTACHED if fleet.pods else (),
            idle_for=seen.idle_for,
            workloads=(a_workload_view(ref, fleet.replicas, pods=pods),),
            settings=settings,
            inventory=inventory,
            outcome=self._outcomes.get(version.key),
        )

    async def _connection(self, version: QueueVersion) -> RedisConnection:
        connection = await self._eyes.backends.connection(version.queue)
        assert not isinstance(connection, Unknown)
        return connection

    async def _act(self, action: Action) -> None:
        version = self.versions[action.version]
        fleet = self.fleets[action.version]
        connection = await self._connection(version)
        match action:
            case ScaleToZero():
                self._before_call()
                fleet.replicas = 0
            case RestoreReplicas():
                self._before_call()
                fleet.replicas = fleet.pods = action.replicas
            case RetireQueue():
                done = await retire_queue(connection, action.queue, action.inventory, action.stamp)
                self._outcomes[version.key] = done
            case SweepRecreated():
                await sweep_recreated(connection, action.queue)
            case RestoreSettings():
                await restore_settings(connection, action.queue, dict(action.settings))
            case _:
                raise AssertionError(f"not part of these stories: {action}")
