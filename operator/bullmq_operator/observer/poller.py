"""The beat: every queue of every Redis is counted, and families are woken when it matters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta

from bullmq_operator.domain.counts import ClientsUnknown, Unknown
from bullmq_operator.domain.names import Backend, FamilyKey, QueueId, RedisSource, VersionKey
from bullmq_operator.domain.observation import QueueVersion
from bullmq_operator.domain.status import Phase
from bullmq_operator.observer.attachments import Attachments
from bullmq_operator.observer.backends import Backends
from bullmq_operator.observer.cache import Cache
from bullmq_operator.observer.ports import Clock
from bullmq_operator.observer.reader import QueueReader
from bullmq_operator.observer.readings import Readings, Seen
from bullmq_operator.observer.wakeup import is_watched_closely, wakes

TIDY_EVERY_BEATS = 60
_LONG = float("inf")

# What is read together: one Redis as its users name it. The default Redis is one group, whoever
# uses it, so that ten thousand queues of a thousand namespaces are a hundred calls.
_Group = Backend | RedisSource


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
        self._attached: set[VersionKey] = set()
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
        watched = [pair for backend in backends for pair in self._cache.queues_on(backend)]
        before = {queue: self._readings.last(queue) for _, queue in watched}
        stamped = frozenset(queue for version, queue in watched if is_watched_closely(version))
        after = await self._reader.read(before, stamped=stamped, insist=True)
        for version, queue in watched:
            self._compare(version, before[queue], after[queue])
            if version.status.phase is Phase.PENDING:
                await self._look_for_workers(version, queue, after[queue])

    async def _look_for_workers(self, version: QueueVersion, queue: QueueId, seen: Seen) -> None:
        """A worker that attaches changes no count, and a pending version may wait for just that."""
        if isinstance(seen.reading, Unknown):
            return
        connection = await self._backends.connection(queue)
        if isinstance(connection, Unknown):
            return
        clients = await self._attachments.of(connection, queue)
        if not clients or isinstance(clients, ClientsUnknown):
            self._attached.discard(version.key)
        elif version.key not in self._attached:
            self._attached.add(version.key)
            self._wake(version.family)

    def _compare(self, version: QueueVersion, before: Seen | None, after: Seen) -> None:
        if before is None:
            return  # whoever made the version known enqueued its family, which reads afresh
        if not wakes(before.reading, after.reading, version, since_last_wake=_LONG):
            return  # nearly all of them
        now, family = self._clock.monotonic(), version.family
        since = now - self._woken.get(family, -_LONG)
        if wakes(before.reading, after.reading, version, since):
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
        families = set(self._cache.families())
        self._attached &= {version.key for version in self._cache.versions()}
        self._woken = {f: at for f, at in self._woken.items() if f in families}
