"""A small model of the world that plans act on: queues, workloads, Pods and a clock.

It models what BullMQ and Kubernetes make of an action, no API of theirs: workers take jobs while
they run, a deleting call looks at its guard, Pods end some seconds after their workload is at zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from bullmq_operator.domain.counts import QueueReading, RetirementOutcome, Unknown
from bullmq_operator.domain.migration import MigrationOutcome, MigrationRun
from bullmq_operator.domain.names import VersionKey, WorkloadKey
from bullmq_operator.domain.observation import (
    Observation,
    QueueVersion,
    VersionView,
    WorkloadView,
)
from bullmq_operator.domain.plan import (
    Action,
    MigrateJobs,
    Plan,
    RestoreReplicas,
    RestoreSettings,
    RetireQueue,
    ScaleToZero,
    SweepRecreated,
)
from bullmq_operator.domain.spec import WorkloadRef
from bullmq_operator.domain.status import Status
from bullmq_operator.observer.contests import Contests
from bullmq_operator.planner import plan
from tests.simulation.model import Fleet, Queue
from tests.support.builders import (
    ATTACHED,
    AWAY,
    NOW,
    REDIS,
    a_version,
    a_workload,
    an_inventory,
    an_observation,
)

NOT_LATER = timedelta(minutes=10)
"""The resync: a family is looked at this often, whatever happens."""


class KilledError(Exception):
    """The process ends here."""


class World:
    """A family, and the clock that drives it."""

    def __init__(self) -> None:
        self.now = NOW
        self.versions: dict[VersionKey, QueueVersion] = {}
        self.queues: dict[VersionKey, Queue] = {}
        self.fleets: dict[WorkloadKey, Fleet] = {}
        self.redis_is_away = False
        self.done: list[tuple[datetime, Action]] = []
        self.said: list[tuple[str, str]] = []
        """(object, reason) of every Event."""
        self.effects = 0
        """Statuses written and actions taken so far."""
        self.dies_before: int | None = None
        """The effect that the process does not live to see; another one starts then."""
        self._looked_again_at = NOW
        self._polled: dict[VersionKey, QueueReading] = {}
        self._start_process()

    def _start_process(self) -> None:
        """All that a process knows beside the objects and Redis."""
        self._outcomes: dict[VersionKey, RetirementOutcome] = {}
        self._migrations: dict[VersionKey, MigrationRun] = {}
        self._contests = Contests()

    def deploy(self, version: str, **spec: object) -> VersionKey:
        """Apply a QueueVersion and the workloads it names."""
        applied = a_version(version, status=Status(), **spec)
        return self.apply(applied)

    def apply(self, applied: QueueVersion) -> VersionKey:
        """Apply the object as it is."""
        self.versions[applied.key] = applied
        self.queues.setdefault(applied.key, Queue())
        for ref in applied.spec.workers:
            fleet = Fleet(since=self.now, ordered=ref.kind == "StatefulSet")
            self.fleets.setdefault(applied.workload(ref), fleet)
        self.reconcile()
        return applied.key

    def edit(self, key: VersionKey, **spec: object) -> None:
        """Change its spec."""
        version = self.versions[key]
        edited = replace(version.spec, **spec)  # type: ignore[arg-type]
        self.versions[key] = replace(version, spec=edited, generation=version.generation + 1)
        self.reconcile()

    def annotate(self, key: VersionKey, *, approve: str | None) -> None:
        """Set `bullmq-operator.dev/approve`."""
        self.versions[key] = replace(self.versions[key], approve=approve)
        self.reconcile()

    def status(self, key: VersionKey) -> Status:
        """As it was written last."""
        return self.versions[key].status

    def fleet(self, key: VersionKey) -> Fleet:
        """The workload of a version that names one."""
        version = self.versions[key]
        return self.fleets[version.workload(version.spec.workers[0])]

    def actions(self, since: datetime = NOW) -> list[str]:
        """What was done, by name, in its order."""
        return [f"{type(a).__name__} {a.version.name}" for at, a in self.done if at >= since]

    def pass_time(self, span: timedelta, step: timedelta = timedelta(minutes=1)) -> None:
        """Work and reconcile until then: at changes, when asked to look again, at each resync."""
        until = self.now + span
        while self.now < until:
            self.now = min(self.now + step, self._looked_again_at, until)
            if self._work() or self.now >= self._looked_again_at:
                self.reconcile()

    def until(self, holds: Callable[[], bool], *, within: timedelta) -> None:
        """Pass time until it holds; fails when it does not in time."""
        deadline = self.now + within
        while not holds():
            assert self.now < deadline, f"still not so at {self.now}: {self.phases()}"
            self.pass_time(timedelta(minutes=1))

    def phases(self) -> dict[str, str]:
        """The phases, by object."""
        return {key.name: str(v.status.phase) for key, v in self.versions.items()}

    def reconcile(self) -> None:
        """Passes until one has nothing to do; the process may die in one of them."""
        for _ in range(20):
            result = plan(self.observe())
            if result.inventories:
                result = plan(self.observe(frozenset(result.inventories)))
            try:
                news = self._carry_out(result)
            except KilledError:
                self._start_process()
                continue
            if not news and not result.actions:
                break
        else:
            raise AssertionError(f"no end of passes at {self.now}: {self.actions()[-10:]}")
        due = result.look_again_at
        resync = self.now + NOT_LATER
        self._looked_again_at = resync if due is None else min(due, resync)

    def _carry_out(self, result: Plan) -> bool:
        news = self._write(result)
        self._outcomes.clear()
        for action in result.actions:
            self._live_on()
            self._act(action)
        return news

    def _live_on(self) -> None:
        self.effects += 1
        if self.effects == self.dies_before:
            raise KilledError

    def observe(self, inventoried: frozenset[VersionKey] = frozenset()) -> Observation:
        """The family as it is now."""
        views = tuple(self._view(v, v.key in inventoried) for v in self.versions.values())
        return an_observation(*views, now=self.now)

    def _view(self, version: QueueVersion, inventoried: bool) -> VersionView:
        queue = self.queues[version.key]
        reading: QueueReading | Unknown = AWAY if self.redis_is_away else queue.reading(self.now)
        workloads = tuple(self._workload(version, ref) for ref in version.spec.workers)
        runs = self._runs(version)
        idle = self.now - (queue.active_at or NOW)
        return VersionView(
            version,
            reading,
            redis=REDIS,
            clients=ATTACHED if runs else (),
            idle_for=None if self.redis_is_away else idle,
            workloads=workloads,
            inventory=an_inventory(stamp=queue.stamp, settings=queue.settings)
            if inventoried
            else None,
            settings=None if self.redis_is_away else queue.settings,
            outcome=self._outcomes.get(version.key),
            migration=self._migrations.get(version.key),
        )

    def _workload(self, version: QueueVersion, ref: WorkloadRef) -> WorkloadView:
        fleet = self.fleets[version.workload(ref)]
        workload = a_workload(ref, fleet.replicas, replicas_manager=fleet.manager)
        at = (self.now - NOW).total_seconds()
        self._contests.seen(workload, at)
        contested_by = self._contests.contested_by(workload.key, at)
        return WorkloadView(ref, workload, pods=fleet.pods(self.now), contested_by=contested_by)

    def _runs(self, version: QueueVersion) -> bool:
        """Workers that no version lists run somewhere else, and always."""
        fleets = [self.fleets[version.workload(ref)] for ref in version.spec.workers]
        return not fleets or any(fleet.replicas for fleet in fleets)

    def _write(self, result: Plan) -> bool:
        news = bool(result.events)
        for key, status in result.statuses:
            version = self.versions[key]
            if version.status != status:
                self._live_on()
                news = True
                self.versions[key] = replace(version, status=status)
        self.said += [(e.version.name, e.reason) for e in result.events]
        return news

    def _act(self, action: Action) -> None:
        self.done.append((self.now, action))
        queue = self.queues[action.version]
        match action:
            case ScaleToZero():
                self.fleets[action.workload.key].scale(0, self.now)
                self._contests.scaled_to_zero(action.workload.key)
            case RestoreReplicas():
                self.fleets[action.workload.key].scale(action.replicas, self.now)
                self._contests.restored(action.workload.key)
            case RestoreSettings():
                queue.give_back(action.settings)
            case SweepRecreated():
                assert queue.jobs_added is None
                assert not queue.settings
                assert not queue.paused
                queue.has_keys = False
            case RetireQueue():
                self._outcomes[action.version] = self._retire(queue, action)
            case MigrateJobs():
                target = self.queues[action.target]
                moved = queue.move_to(target, self.now)
                done = MigrationOutcome(migrated_jobs=moved)
                run = MigrationRun(action.target_queue, self.now, done)
                self._migrations[action.version] = run
                self._outcomes[action.version] = RetirementOutcome(migrated_jobs=moved)

    def _retire(self, queue: Queue, action: RetireQueue) -> RetirementOutcome:
        if queue.waiting or queue.delayed:
            return RetirementOutcome(stopped_by="LateJob")
        if queue.stamp != action.stamp:
            return RetirementOutcome(stopped_by="Activity")
        jobs = queue.completed
        queue.close()
        return RetirementOutcome(obliterated_jobs=jobs, closed=True)

    def _work(self) -> bool:
        """Let others do their work; whether a watch or the poll sees a change since then."""
        contested = False
        for fleet in self.fleets.values():
            contested = fleet.fix(self.now) or contested
        for key, version in self.versions.items():
            if self._runs(version):
                self.queues[key].work(self.now)
        before, self._polled = self._polled, {k: q.reading(NOW) for k, q in self.queues.items()}
        return contested or before != self._polled
