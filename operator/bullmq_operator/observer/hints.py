"""Between two beats of the poll: news of draining queues, from their own event streams.

The last job's end and a late job's arrival are seen at once rather than at the next beat. Nothing
rests on it: where Redis refuses XREAD, or is a Cluster, the poll sees the same a little later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from itertools import islice

from bullmq_operator.domain.counts import QueueReading, Unknown
from bullmq_operator.domain.names import QueueId
from bullmq_operator.domain.status import Phase
from bullmq_operator.observer.backends import Backends
from bullmq_operator.observer.cache import Cache
from bullmq_operator.observer.readings import Readings
from bullmq_operator.queues.activity import MAX_STREAMS, wait_for_activity
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.errors import QueueReadError

LISTEN_S = 1.0
"""One blocked call; then it is found out anew what drains."""
PACE_S = 0.1
"""At least so long between two looks at the same Redis: a busy queue has an event for each job."""
PAUSE_S = 30.0
"""After a refusal. What the poll finds out about this Redis is told by the poll."""

_OF_INTEREST = frozenset({Phase.DRAINING, Phase.HELD, Phase.RETIRING})

Look = Callable[[Collection[QueueId]], Awaitable[None]]


class Hints:
    """Listens to draining queues, and has them read when something happens."""

    def __init__(self, cache: Cache, backends: Backends, readings: Readings, look: Look) -> None:
        """`look` reads queues now, and wakes whom the news concerns."""
        self._cache = cache
        self._backends = backends
        self._readings = readings
        self._look = look

    async def run(self) -> None:
        """Never returns. One listener per Redis, so that none waits for another."""
        listeners: dict[RedisConnection, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                listeners = {to: task for to, task in listeners.items() if not task.done()}
                for connection, queues in (await self._draining()).items():
                    if connection not in listeners:
                        listener = self._listen(connection, queues)
                        listeners[connection] = tasks.create_task(listener, name="hints")
                await self._until_one_ended(listeners.values())

    @staticmethod
    async def _until_one_ended(tasks: Collection[asyncio.Task[None]]) -> None:
        if tasks:
            await asyncio.wait(tasks, timeout=LISTEN_S, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(LISTEN_S)

    async def _draining(self) -> dict[RedisConnection, dict[str, QueueId]]:
        """By Redis, the queues to listen to by their base: those whose news can't wait."""
        found: dict[RedisConnection, dict[str, QueueId]] = {}
        for version in self._cache.versions():
            if version.status.phase not in _OF_INTEREST:
                continue
            reading = self._readings.entry(version.queue).reading
            if not isinstance(reading, QueueReading):
                continue
            connection = await self._backends.connection(version.queue)
            if not isinstance(connection, Unknown) and not connection.is_cluster:
                found.setdefault(connection, {})[version.queue.base] = version.queue
        return found

    async def _listen(self, connection: RedisConnection, queues: dict[str, QueueId]) -> None:
        """Until something happened, or for a while."""
        stamps = {base: self._stamp(queue) for base, queue in islice(queues.items(), MAX_STREAMS)}
        try:
            active = await wait_for_activity(connection, stamps, LISTEN_S)
        except QueueReadError:
            await asyncio.sleep(PAUSE_S)
            return
        if active:
            await asyncio.sleep(PACE_S)
            await self._look([queues[base] for base in active])

    def _stamp(self, queue: QueueId) -> str | None:
        reading = self._readings.entry(queue).reading
        return reading.stamp if isinstance(reading, QueueReading) else None
