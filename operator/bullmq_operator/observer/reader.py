"""Readings of many queues at once, whichever Redis they are in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from bullmq_operator.domain.counts import Unknown, UnknownReason
from bullmq_operator.domain.names import Backend, FamilyKey, QueueId
from bullmq_operator.observer.backends import Backends
from bullmq_operator.observer.cache import Cache
from bullmq_operator.observer.ports import Clock
from bullmq_operator.observer.readings import Readings, Seen
from bullmq_operator.queues.connection import RedisConnection, ServerInfo
from bullmq_operator.queues.counts import read_queues
from bullmq_operator.queues.errors import QueueReadError

_AWAY = frozenset({UnknownReason.UNREACHABLE, UnknownReason.LOADING})


class QueueReader:
    """Reads queues, and remembers what it read, when, and from which server."""

    def __init__(
        self,
        *,
        backends: Backends,
        readings: Readings,
        cache: Cache,
        clock: Clock,
        wake: Callable[[FamilyKey], None],
        spare_for_s: float,
    ) -> None:
        """`spare_for_s`: a Redis that was just found away is not asked again for so long, except
        by the poll, so that its families don't each wait for the same timeout."""
        self._backends = backends
        self._readings = readings
        self._cache = cache
        self._clock = clock
        self._wake = wake
        self._spare_for_s = spare_for_s
        self._away: dict[RedisConnection, tuple[Unknown, float]] = {}

    async def read(
        self, queues: Collection[QueueId], *, stamped: frozenset[QueueId], insist: bool = False
    ) -> dict[QueueId, Seen]:
        """Read them now; `stamped` ones with their stamp. `insist`: also where Redis was away."""
        connections = {
            backend: await self._backends.behind(backend)
            for backend in {queue.backend for queue in queues}
        }
        by_connection: dict[RedisConnection, list[QueueId]] = {}
        seen: dict[QueueId, Seen] = {}
        for queue in queues:
            target = self._backends.refusal(queue) or connections[queue.backend]
            if isinstance(target, Unknown):
                at = self._clock.monotonic()
                seen[queue] = self._readings.unknown(queue, target, at=at)
            else:
                by_connection.setdefault(target, []).append(queue)
        batches = [
            self._read_batch(connection, batch, stamped, insist)
            for connection, batch in by_connection.items()
        ]
        for result in await asyncio.gather(*batches):
            seen.update(result)
        return seen

    async def _read_batch(
        self,
        connection: RedisConnection,
        queues: list[QueueId],
        stamped: frozenset[QueueId],
        insist: bool,
    ) -> dict[QueueId, Seen]:
        away = None if insist else self._is_away(connection)
        if away is not None:
            return self._all_unknown(queues, away)
        bases = sorted({queue.base for queue in queues})
        with_stamp = frozenset(queue.base for queue in queues if queue in stamped)
        asked_at = self._clock.monotonic()
        try:
            read = await read_queues(connection, bases, with_stamp)
            # After the counts: a fail-over in between counts as one, rather than being missed.
            server = await connection.server()
        except QueueReadError as failure:
            return self._failed(connection, queues, failure)
        at = self._clock.monotonic()
        self._away.pop(connection, None)
        replica = _replica(connection, server)
        if replica is not None:
            return self._all_unknown(queues, replica)
        self._recognise({queue.backend for queue in queues}, connection, server)
        history = f"{connection.address} {server.run_id} {server.replication_id}"
        seen: dict[QueueId, Seen] = {}
        for queue in queues:
            reading = read[queue.base]
            if isinstance(reading, Unknown):
                seen[queue] = self._readings.unknown(queue, reading, at=at)
                continue
            seen[queue] = self._readings.known(
                queue,
                reading,
                redis=connection.address,
                server=history,
                asked_at=asked_at,
                at=at,
            )
        return seen

    def _failed(
        self, connection: RedisConnection, queues: list[QueueId], failure: QueueReadError
    ) -> dict[QueueId, Seen]:
        unknown = Unknown(failure.reason, failure.message)
        if failure.reason in _AWAY:
            self._away[connection] = unknown, self._clock.monotonic()
        for backend in {queue.backend for queue in queues}:
            self._backends.suspect(backend)
        return self._all_unknown(queues, unknown)

    def _all_unknown(self, queues: list[QueueId], unknown: Unknown) -> dict[QueueId, Seen]:
        at = self._clock.monotonic()
        return {queue: self._readings.unknown(queue, unknown, at=at) for queue in queues}

    def _is_away(self, connection: RedisConnection) -> Unknown | None:
        away = self._away.get(connection)
        if away is None or self._clock.monotonic() - away[1] >= self._spare_for_s:
            return None
        return away[0]

    def _recognise(
        self, backends: set[Backend], connection: RedisConnection, server: ServerInfo
    ) -> None:
        """Two names of one server are one place: that is how `Conflict` is found."""
        identities = frozenset({connection.address, f"run {server.run_id}/{connection.database}"})
        for backend in backends:
            for family in self._cache.set_identities(backend, identities):
                self._wake(family)


def _replica(connection: RedisConnection, server: ServerInfo) -> Unknown | None:
    if server.role not in ("slave", "replica"):
        return None
    return Unknown(
        UnknownReason.READ_ONLY,
        f"Redis {connection.address} is a replica, whose counts may lie behind; use the address "
        "of the primary.",
    )
