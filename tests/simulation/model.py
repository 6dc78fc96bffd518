"""What the simulated world is made of: queues, and workloads with their Pods."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bullmq_operator.domain.counts import QueueCounts, QueueReading
from bullmq_operator.domain.observation import Pods
from tests.support.builders import NOW

POD_GRACE = timedelta(seconds=20)
OPERATOR = "bullmq-operator"

Settings = tuple[tuple[str, str], ...]


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
    settings: Settings = ()
    meant: Settings = ()
    """The settings that its owner gave it."""
    done: int = 0
    """Jobs ever processed."""
    unbounded: int = 0
    """Those of them that were processed while the settings were lost."""

    def configure(self, **settings: str) -> None:
        """What `setGlobalConcurrency` and the like leave in `meta`."""
        self.settings = self.meant = tuple(sorted(settings.items()))
        self.has_keys = True

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
            self.completed += taken
            self.done += taken
            self.active_at = now
            self.unbounded += taken if self.settings != self.meant else 0

    def move_to(self, target: Queue, now: datetime) -> int:
        """A migration of all that no worker has."""
        moved = self.waiting + len(self.delayed)
        target.waiting += self.waiting
        target.delayed += self.delayed
        if moved:
            target.has_keys, target.active_at, self.active_at = True, now, now
        self.waiting, self.delayed = 0, []
        return moved

    def give_back(self, settings: Settings) -> None:
        """HSETNX of each."""
        self.settings = tuple(sorted({**dict(settings), **dict(self.settings)}.items()))
        self.has_keys = True

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
        """All its keys are gone: by our doing, or by a FLUSHALL."""
        self.waiting, self.delayed, self.completed = 0, [], 0
        self.jobs_added, self.has_keys, self.paused = None, False, False
        self.active_at, self.settings = None, ()


@dataclass
class Fleet:
    """One workload and its Pods."""

    replicas: int = 3
    since: datetime = NOW - timedelta(days=1)
    ends: list[datetime] = field(default_factory=list)
    ordered: bool = False
    """A StatefulSet's Pods end one after the other."""
    manager: str | None = None
    """Who set the replicas last."""
    fixed_every: timedelta | None = None
    """How often a GitOps tool looks, and sets the replicas to what stands in Git."""
    fixed_at: datetime = NOW
    in_git: int = 3

    def scale(self, replicas: int, now: datetime, manager: str = OPERATOR) -> None:
        """Pods start at once and end after their grace."""
        waits = range(1, self.replicas + 1) if self.ordered else [1] * self.replicas
        self.ends = [now + POD_GRACE * wait for wait in waits] if replicas == 0 else []
        self.replicas, self.since, self.manager = replicas, now, manager

    def fix(self, now: datetime) -> bool:
        """Let the tool look; whether it changed something."""
        if self.fixed_every is None or now - self.fixed_at < self.fixed_every:
            return False
        self.fixed_at = now
        if self.replicas == self.in_git:
            return False
        self.scale(self.in_git, now, "gitops")
        return True

    def pods(self, now: datetime) -> Pods:
        """Those that match its selector."""
        if self.replicas:
            return Pods(self.replicas, ready=self.replicas, ready_since=self.since)
        ending = sum(now < end for end in self.ends)
        return Pods(ending, terminating=ending)
