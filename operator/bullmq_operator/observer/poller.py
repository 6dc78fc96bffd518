"""The beat: every queue of every Redis is counted, and families are woken when it matters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from bullmq_operator.domain.counts import ClientsUnknown, Unknown
from bullmq_operator.domain.names import Backend, FamilyKey, QueueId, RedisSource, VersionKey
from bullmq_operator.domain.observation import QueueVersion
from bullmq_operator.observer.attachments import Attachments
from bullmq_operator.observer.backends import Backends
from bullmq_operator.observer.cache import Cache, VersionsOn
from bullmq_operator.observer.ports import Clock
from bullmq_operator.observer.reader import Change, QueueReader
from bullmq_operator.observer.readings import Readings
from bullmq_operator.observer.roster import Roster
from bullmq_operator.observer.wakeup import (
    decides,
    is_watched_closely,
    waits_for_workers,
    wakes,
)

TIDY_EVERY_BEATS = 60
_LONG = float("inf")

# What is read together: one Redis as its users name it. The default Redis is one group, whoever
# uses it, so that ten thousand queues of a thousand namespaces are a hundred calls.
_Group = Backend | RedisSource


@dataclass(frozen=True, slots=True)
class _Watch:
    """What a beat needs to know, made once for many beats."""

    made_of: tuple[VersionsOn, ...]
    roster: Roster
    stamped: set[QueueId]
    versions: dict[QueueId, list[QueueVersion]]
    """Whom a queue's change concerns."""
    waiting: list[QueueVersion]
    """Those that wait for a worker to attach."""

    def asks(self, queues: Collection[QueueId], stamped: set[QueueId]) -> bool:
        """Whether these are its questions."""
        return stamped == self.stamped and self.versions.keys() == set(queues)


class Poller:
    """Reads all queues in a fixed rhythm. A slow Redis skips beats and holds up no other."""

    def __init__(
        self,
        *,
        cache: Cache,
        backends: Backends,
        readings: Readings,
        reader: QueueReader,
        attachments: Attachments,
        clock: Clock,
        interval: timedelta,
        wake: Callable[[FamilyKey], None],
    ) -> None:
        self._cache = cache
        self._backends = backends
        self._readings = readings
        self._reader = reader
        self._attachments = attachments
        self._clock = clock
        self._interval = interval.total_seconds()
        self._wake = wake
        self._woken: dict[FamilyKey, float] = {}
        self._owed: set[FamilyKey] = set()
        self._attached: set[VersionKey] = set()
        self._watches: dict[tuple[Backend, ...], _Watch] = {}
        self.last_beat: float | None = None
        """Monotonic second of the last beat's start: whether the poll is alive."""

    async def run(self) -> None:
        """Never returns. An error that is no reading's raises and ends the process."""
        beating: dict[_Group, asyncio.Task[None]] = {}
        beats = 0
        async with asyncio.TaskGroup() as tasks:
            while True:
                started = self._clock.monotonic()
                self.last_beat = started
                self._wake_owed()
                beating = {group: task for group, task in beating.items() if not task.done()}
                for group, backends in self._groups().items():
                    if group not in beating:
                        beating[group] = tasks.create_task(self.beat(backends), name="poll")
                beats += 1
                if beats % TIDY_EVERY_BEATS == 0:
                    await self._tidy()
                spent = self._clock.monotonic() - started
                await asyncio.sleep(max(self._interval - spent, 0.01))

    async def beat(self, backends: Iterable[Backend]) -> None:
        """Read all queues behind the backends, once."""
        watch = self._watch_of(tuple(backends))
        for change in await self._reader.refresh(watch.roster, insist=True):
            for version in watch.versions[change.queue]:
                self._compare(version, change)
        for version in watch.waiting:
            await self._look_for_workers(version)

    async def look(self, queues: Collection[QueueId]) -> None:
        """Read some queues between two beats. What may change a family's plan wakes it now; mere
        numbers, which a busy queue changes all the time, wake it at the next beat."""
        changes = await self._reader.refresh(self._reader.roster(queues, queues))
        for change in changes:
            for watch in self._watches.values():
                for version in watch.versions.get(change.queue, ()):
                    if change.before is None or decides(change.before, change.after):
                        self._compare(version, change)
                    else:
                        self._owed.add(version.family)

    def _wake_owed(self) -> None:
        for family in self._owed:
            self._woken[family] = self._clock.monotonic()
            self._wake(family)
        self._owed.clear()

    def _watch_of(self, backends: tuple[Backend, ...]) -> _Watch:
        """As it was, unless a version came, went or changed."""
        versions = tuple(self._cache.versions_on(backend) for backend in backends)
        watch = self._watches.get(backends)
        if watch is None or watch.made_of != versions:
            watch = self._watches[backends] = self._new_watch(versions, watch)
        return watch

    def _new_watch(self, made_of: tuple[VersionsOn, ...], before: _Watch | None = None) -> _Watch:
        """With the roster of `before` where the questions are the same: most changes are those of
        a status."""
        by_queue: dict[QueueId, list[QueueVersion]] = {}
        for versions in made_of:
            for version, queue in versions:
                by_queue.setdefault(queue, []).append(version)
        stamped = {
            queue for queue, users in by_queue.items() if any(map(is_watched_closely, users))
        }
        every = [version for users in by_queue.values() for version in users]
        waiting = [version for version in every if waits_for_workers(version)]
        self._attached -= {version.key for version in every} - {v.key for v in waiting}
        if before is not None and before.asks(by_queue, stamped):
            return _Watch(made_of, before.roster, stamped, by_queue, waiting)
        roster = self._reader.roster(by_queue, stamped)
        return _Watch(made_of, roster, stamped, by_queue, waiting)

    async def _look_for_workers(self, version: QueueVersion) -> None:
        """A worker that attaches changes no count, and a version may wait for just that."""
        reading = self._readings.entry(version.queue).reading
        if reading is None or isinstance(reading, Unknown):
            return
        connection = await self._backends.connection(version.queue)
        if isinstance(connection, Unknown):
            return
        clients = await self._attachments.of(connection, version.queue)
        if not clients or isinstance(clients, ClientsUnknown):
            self._attached.discard(version.key)
        elif version.key not in self._attached:
            self._attached.add(version.key)
            self._wake(version.family)

    def _compare(self, version: QueueVersion, change: Change) -> None:
        if change.before is None:
            return  # whoever made the version known enqueued its family, which reads afresh
        now, family = self._clock.monotonic(), version.family
        since = now - self._woken.get(family, -_LONG)
        if wakes(change.before, change.after, version, since):
            self._woken[family] = now
            self._wake(family)

    def _groups(self) -> dict[_Group, list[Backend]]:
        groups: dict[_Group, list[Backend]] = {}
        for backend in self._cache.backends():
            group = backend.source if backend.source.is_default else backend
            groups.setdefault(group, []).append(backend)
        return groups

    async def _tidy(self) -> None:
        """Forget what no version names any more."""
        queues: set[QueueId] = {version.queue for version in self._cache.versions()}
        self._readings.keep_only(queues)
        await self._backends.keep_only(self._cache.backends())
        groups = {tuple(backends) for backends in self._groups().values()}
        # Their rosters hold readings, some of which were forgotten just now.
        self._watches = {
            of: self._new_watch(watch.made_of)
            for of, watch in self._watches.items()
            if of in groups
        }
        families = set(self._cache.families())
        self._attached &= {version.key for version in self._cache.versions()}
        self._woken = {f: at for f, at in self._woken.items() if f in families}
