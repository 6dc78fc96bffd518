"""A small model of the world that plans act on: queues, workloads, Pods and a clock.

It models what BullMQ and Kubernetes make of an action, no API of theirs: workers take jobs while
they run, a deleting call looks at its guard, Pods end some seconds after their workload is at zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bullmq_operator.domain.counts import QueueCounts, QueueReading, RetirementOutcome, Unknown
from bullmq_operator.domain.names import VersionKey, WorkloadKey
from bullmq_operator.domain.observation import (
    Observation,
    Pods,
    QueueVersion,
    VersionView,
    WorkloadView,
)
from bullmq_operator.domain.plan import (
    Action,
    Plan,
    RestoreReplicas,
    RestoreSettings,
    RetireQueue,
    ScaleToZero,
    SweepRecreated,
)
from bullmq_operator.domain.spec import WorkloadRef
from bullmq_operator.domain.status import Status
from bullmq_operator.planner import plan
from tests.support.builders import (
    ATTACHED,
    AWAY,
    NOW,
    REDIS,
    a_version,
    a_workload_view,
    an_inventory,
    an_observation,
)

POD_GRACE = timedelta(seconds=20)
NOT_LATER = timedelta(minutes=10)
"""The resync: a family is looked at this often, whatever happens."""


@dataclass
class Queue:
    """One queue in Redis."""

    waiting: int = 0
    delayed: list[datetime] = field(default_factory=list)
    completed: int = 0
    jobs_added: int | None = None
    has_keys: bool = False
    active_at: datetime | None = None
    paused: bool = False
    settings: tuple[tuple[str, str], ...] = ()
    done: int = 0
    """Jobs ever processed."""

    def add(self, now: datetime, count: int = 1, due: datetime | None = None) -> None:
        """What BullMQ's add leaves behind."""
        self.jobs_added = (self.jobs_added or 0) + count
        self.has_keys, self.active_at = True, now
        if due is None:
            self.waiting += count
        else:
            self.delayed += [due] * count

    def work(self, now: datetime) -> None:
        """Workers promote what is due and finish what waits."""
        ready = [due for due in self.delayed if due <= now]
        self.delayed = [due for due in self.delayed if due > now]
        taken = 0 if self.paused else self.waiting + len(ready)
        self.waiting += len(ready) - taken
        if taken:
            self.completed, self.done, self.active_at = (
                self.completed + taken,
                self.done + taken,
                now,
            )

    @property
    def stamp(self) -> str | None:
        """The last activity, as the events stream has it."""
        return None if self.active_at is None else f"{int(self.active_at.timestamp() * 1000)}-0"

    def reading(self, now: datetime) -> QueueReading:
        """One atomic look."""
        counts = QueueCounts(
            waiting=self.waiting, delayed=len(self.delayed), completed=self.completed
        )
        return QueueReading(
            counts, self.paused, self.jobs_added, self.has_keys, self.stamp, redis_time=now
        )

    def close(self) -> None:
        """All its keys are gone."""
        self.completed, self.jobs_added, self.has_keys = 0, None, False
        self.active_at, self.settings = None, ()


@dataclass
class Fleet:
    """One workload and its Pods."""

    replicas: int = 3
    since: datetime = NOW - timedelta(days=1)
    ends_at: datetime | None = None

    def scale(self, replicas: int, now: datetime) -> None:
        """Pods start at once and end after their grace."""
        self.ends_at = now + POD_GRACE if replicas == 0 and self.replicas else None
        self.replicas, self.since = replicas, now

    def pods(self, now: datetime) -> Pods:
        """Those that match its selector."""
        if self.replicas:
            return Pods(self.replicas, ready=self.replicas, ready_since=self.since)
        ending = 1 if self.ends_at is not None and now < self.ends_at else 0
        return Pods(ending, terminating=ending)


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
        self._outcomes: dict[VersionKey, RetirementOutcome] = {}
        self._looked_again_at = NOW
        self._polled: dict[VersionKey, QueueReading] = {}

    def deploy(self, version: str, **spec: object) -> VersionKey:
        """Apply a QueueVersion and the workloads it names."""
        applied = a_version(version, status=Status(), **spec)
        return self.apply(applied)

    def apply(self, applied: QueueVersion) -> VersionKey:
        """Apply the object as it is."""
        self.versions[applied.key] = applied
        self.queues.setdefault(applied.key, Queue())
        for ref in applied.spec.workers:
            self.fleets.setdefault(applied.workload(ref), Fleet(since=self.now))
        self.reconcile()
        return applied.key

    def edit(self, key: VersionKey, **spec: object) -> None:
        """Change its spec."""
        version = self.versions[key]
        edited = replace(version.spec, **spec)  # type: ignore[arg-type]
        self.versions[key] = replace(version, spec=edited, generation=version.generation + 1)
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
        """Passes until one has nothing to do."""
        for _ in range(20):
            result = plan(self.observe())
            if result.inventories:
                result = plan(self.observe(frozenset(result.inventories)))
            self._outcomes.clear()
            news = self._write(result)
            for action in result.actions:
                self._act(action)
            if not news and not result.actions:
                break
        else:
            raise AssertionError(f"no end of passes at {self.now}: {self.actions()[-10:]}")
        due = result.look_again_at
        resync = self.now + NOT_LATER
        self._looked_again_at = resync if due is None else min(due, resync)

    def observe(self, inventoried: frozenset[VersionKey] = frozenset()) -> Observation:
        """The family as it is now."""
        views = tuple(self._view(v, v.key in inventoried) for v in self.versions.values())
        return an_observation(*views, now=self.now)

    def _view(self, version: QueueVersion, inventoried: bool) -> VersionView:
        queue = self.queues[version.key]
        reading: QueueReading | Unknown = AWAY if self.redis_is_away else queue.reading(self.now)
        workloads = tuple(self._workload(version, ref) for ref in version.spec.workers)
        runs = any(w.workload is not None and w.workload.replicas for w in workloads)
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
            outcome=self._outcomes.get(version.key),
        )

    def _workload(self, version: QueueVersion, ref: WorkloadRef) -> WorkloadView:
        fleet = self.fleets[version.workload(ref)]
        return a_workload_view(ref, fleet.replicas, pods=fleet.pods(self.now))

    def _write(self, result: Plan) -> bool:
        news = bool(result.events)
        self.said += [(e.version.name, e.reason) for e in result.events]
        for key, status in result.statuses:
            version = self.versions[key]
            news = news or version.status != status
            self.versions[key] = replace(version, status=status)
        return news

    def _act(self, action: Action) -> None:
        self.done.append((self.now, action))
        queue = self.queues[action.version]
        match action:
            case ScaleToZero():
                self.fleets[action.workload.key].scale(0, self.now)
            case RestoreReplicas():
                self.fleets[action.workload.key].scale(action.replicas, self.now)
            case RestoreSettings():
                queue.settings = queue.settings or action.settings
            case SweepRecreated():
                if queue.jobs_added is None:
                    queue.has_keys = False
            case RetireQueue():
                self._outcomes[action.version] = self._retire(queue, action)

    def _retire(self, queue: Queue, action: RetireQueue) -> RetirementOutcome:
        if queue.waiting or queue.delayed:
            return RetirementOutcome(stopped_by="LateJob")
        if queue.stamp != action.stamp:
            return RetirementOutcome(stopped_by="Activity")
        jobs = queue.completed
        queue.close()
        return RetirementOutcome(obliterated_jobs=jobs, closed=True)

    def _work(self) -> bool:
        """Let the workers work; whether the poll sees a change since the last time."""
        for key, version in self.versions.items():
            if any(self.fleets[version.workload(ref)].replicas for ref in version.spec.workers):
                self.queues[key].work(self.now)
        before, self._polled = self._polled, {k: q.reading(NOW) for k, q in self.queues.items()}
        return before != self._polled
