"""Readings of many queues at once, whichever Redis they are in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from bullmq_operator.domain.counts import QueueReading, Unknown, UnknownReason
from bullmq_operator.domain.names import Backend, FamilyKey, QueueId
from bullmq_operator.observer.backends import Backends
from bullmq_operator.observer.cache import Cache
from bullmq_operator.observer.ports import Clock
from bullmq_operator.observer.readings import Look, Readings, Seen
from bullmq_operator.observer.roster import Line, Part, Roster
from bullmq_operator.queues.connection import RedisConnection, ServerInfo
from bullmq_operator.queues.counts import Row, ask, parsed
from bullmq_operator.queues.errors import QueueReadError

_AWAY = frozenset({UnknownReason.UNREACHABLE, UnknownReason.LOADING})


@dataclass(frozen=True, slots=True)
class Change:
    """A queue that is not as it was at the reading before; None: there was none."""

    queue: QueueId
    before: QueueReading | Unknown | None
    after: QueueReading | Unknown


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
        missed: Callable[[], None] = lambda: None,
    ) -> None:
        """`spare_for_s`: a Redis that was just found away is not asked again for so long, except
        by the poll, so that its families don't each wait for the same timeout. `missed` is told
        each time the poll could not read a Redis: once, however many queues and names it has."""
        self._backends = backends
        self._readings = readings
        self._cache = cache
        self._clock = clock
        self._wake = wake
        self._spare_for_s = spare_for_s
        self._missed = missed
        self._away: dict[RedisConnection, tuple[Unknown, float]] = {}
        self._missed_at: dict[RedisConnection, float] = {}

    def roster(self, queues: Iterable[QueueId], stamped: Collection[QueueId]) -> Roster:
        """What `refresh` reads; `stamped` queues with their stamp."""
        lines = (Line(queue, self._readings.entry(queue), queue in stamped) for queue in queues)
        return Roster(lines, self._backends.refusal)

    async def read(
        self, queues: Collection[QueueId], *, stamped: Collection[QueueId], insist: bool = False
    ) -> dict[QueueId, Seen]:
        """Read some queues now. `insist`: also where Redis was just found away."""
        roster = self.roster(queues, stamped)
        await self.refresh(roster, insist=insist)
        seen = ((line.queue, line.entry.seen()) for line in roster.lines)
        return {queue: one for queue, one in seen if one is not None}

    async def refresh(self, roster: Roster, *, insist: bool = False) -> list[Change]:
        """Read the roster's queues now; returns those that are not as they were."""
        targets = {where: await self._backends.behind(where) for where in roster.backends}
        changes = self._unknown(roster.refused) + self._unknown(roster.unreachable(targets))
        parts = (self._refresh_part(part, insist) for part in roster.parts(targets))
        for found in await asyncio.gather(*parts):
            changes += found
        return changes

    async def _refresh_part(self, part: Part, insist: bool) -> list[Change]:
        connection = part.connection
        away = None if insist else self._is_away(connection)
        if away is not None:
            return self._all_unknown(part, away)
        asked_at = self._clock.monotonic()
        try:
            answers = await ask(connection, part.calls)
            # After the counts: a fail-over in between counts as one, rather than being missed.
            server = await connection.server()
        except QueueReadError as failure:
            if insist:
                self._count_missed(connection)
            return self._failed(part, failure)
        at = self._clock.monotonic()
        self._away.pop(connection, None)
        self._missed_at.pop(connection, None)
        replica = _replica(connection, server)
        if replica is not None:
            return self._all_unknown(part, replica)
        self._recognise(part.backends, connection, server)
        history = f"{connection.address} {server.run_id} {server.replication_id}"
        changes: list[Change] = []
        for group, answer in zip(part.groups, answers, strict=True):
            look = Look(
                connection.address,
                history,
                asked_at,
                at,
                answer.redis_time,
                server.maxmemory_policy,
            )
            for line, row in zip(group, answer.rows, strict=True):
                if not line.entry.repeats(row, look):
                    changes.append(_taken(line, row, look))
        return changes

    def _count_missed(self, connection: RedisConnection) -> None:
        at = self._clock.monotonic()
        last = self._missed_at.get(connection)
        # One beat reads a Redis once for each name it has: those failures are one.
        if last is None or at - last >= self._spare_for_s / 2:
            self._missed_at[connection] = at
            self._missed()

    def _failed(self, part: Part, failure: QueueReadError) -> list[Change]:
        if failure.reason in _AWAY:
            self._away[part.connection] = failure.unknown, self._clock.monotonic()
        for backend in part.backends:
            self._backends.suspect(backend)
        return self._all_unknown(part, failure.unknown)

    def _all_unknown(self, part: Part, unknown: Unknown) -> list[Change]:
        return self._unknown([(line, unknown) for line in part.lines])

    def _unknown(self, lines: Iterable[tuple[Line, Unknown]]) -> list[Change]:
        at, changes = self._clock.monotonic(), []
        for line, unknown in lines:
            changes.append(Change(line.queue, line.entry.reading, unknown))
            line.entry.unknown(unknown, at)
        return changes

    def _is_away(self, connection: RedisConnection) -> Unknown | None:
        away = self._away.get(connection)
        if away is None or self._clock.monotonic() - away[1] >= self._spare_for_s:
            return None
        return away[0]

    def _recognise(
        self, backends: Collection[Backend], connection: RedisConnection, server: ServerInfo
    ) -> None:
        """Two names of one server are one place: that is how `Conflict` is found. And what a server
        is set to matters to all its queues."""
        runs = (f"run {run_id}/{connection.database}" for run_id in server.processes)
        identities = frozenset((connection.address, *runs))
        for backend in backends:
            touched = self._cache.set_identities(backend, identities)
            for family in touched | self._cache.set_policy(backend, server.maxmemory_policy):
                self._wake(family)


def _taken(line: Line, row: Row, look: Look) -> Change:
    """Keep a row that is news."""
    before = line.entry.reading
    reading = parsed(look.redis, line.queue.base, row, look.redis_time)
    if isinstance(reading, Unknown):
        line.entry.unknown(reading, look.at)
    else:
        line.entry.known(reading, look, row)
    return Change(line.queue, before, line.entry.reading or reading)


def _replica(connection: RedisConnection, server: ServerInfo) -> Unknown | None:
    if server.role not in ("slave", "replica"):
        return None
    return Unknown(
        UnknownReason.READ_ONLY,
        f"Redis {connection.address} is a replica, whose counts may lie behind; use the address "
        "of the primary.",
    )
