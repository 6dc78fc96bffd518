"""Queues that are read together, again and again: the questions are put together once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bullmq_operator.domain.counts import Unknown
from bullmq_operator.domain.names import Backend, QueueId
from bullmq_operator.observer.readings import Entry
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.counts import Call, calls_for

Targets = Mapping[Backend, RedisConnection | Unknown]
"""Where each backend's queues are now, or why that can't be told."""


@dataclass(frozen=True, slots=True)
class Line:
    """One queue of a roster."""

    queue: QueueId
    entry: Entry
    wants_stamp: bool


@dataclass(frozen=True, slots=True)
class Part:
    """What goes to one Redis; `groups` are the lines of each call."""

    connection: RedisConnection
    lines: tuple[Line, ...]
    calls: tuple[Call, ...]
    groups: tuple[tuple[Line, ...], ...]
    backends: frozenset[Backend]


class Roster:
    """Made by QueueReader.roster; good until the queues, or whose stamp is wanted, change."""

    def __init__(self, lines: Iterable[Line], refusal: Callable[[QueueId], Unknown | None]) -> None:
        """`refusal` tells why a queue may not be looked at; that never changes."""
        self.lines = tuple(lines)
        self.backends = frozenset(line.queue.backend for line in self.lines)
        self.refused: list[tuple[Line, Unknown]] = []
        self._allowed: list[Line] = []
        for line in self.lines:
            unknown = refusal(line.queue)
            if unknown is not None:
                self.refused.append((line, unknown))
            else:
                self._allowed.append(line)
        self._targets: Targets = {}
        self._parts: list[Part] = []

    def unreachable(self, targets: Targets) -> list[tuple[Line, Unknown]]:
        """Lines whose Redis can't even be named, each with why."""
        away = {where: why for where, why in targets.items() if isinstance(why, Unknown)}
        if not away:
            return []
        return [
            (line, away[line.queue.backend]) for line in self._allowed if line.queue.backend in away
        ]

    def parts(self, targets: Targets) -> list[Part]:
        """The other lines, by Redis."""
        if targets != self._targets:
            self._targets = dict(targets)
            self._parts = self._divided(targets)
        return self._parts

    def _divided(self, targets: Targets) -> list[Part]:
        by_connection: dict[RedisConnection, list[Line]] = {}
        for line in self._allowed:
            target = targets[line.queue.backend]
            if not isinstance(target, Unknown):
                by_connection.setdefault(target, []).append(line)
        return [_part(connection, lines) for connection, lines in by_connection.items()]


def _part(connection: RedisConnection, lines: Sequence[Line]) -> Part:
    bases = [line.queue.base for line in lines]
    stamped = {base for base, line in zip(bases, lines, strict=True) if line.wants_stamp}
    calls = calls_for(connection, bases, stamped)
    groups, start = [], 0
    for call in calls:
        groups.append(tuple(lines[start : start + len(call.bases)]))
        start += len(call.bases)
    backends = frozenset(line.queue.backend for line in lines)
    return Part(connection, tuple(lines), tuple(calls), tuple(groups), backends)
