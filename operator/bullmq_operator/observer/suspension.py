"""Whether a namespace is frozen by its annotation."""

from __future__ import annotations

from typing import Protocol

from bullmq_operator.observer.cache import Cache
from bullmq_operator.observer.ports import Clock

GOOD_FOR_S = 15.0


class Namespaces(Protocol):
    """The one question asked of Kubernetes here."""

    async def is_suspended(self, namespace: str) -> bool:
        """Raises KubeError."""


class Suspension:
    """Asked at most every 15 s per namespace, so that no watch on namespaces is needed: the right
    to one is missing where the operator is installed for a single namespace."""

    def __init__(self, namespaces: Namespaces, cache: Cache, clock: Clock) -> None:
        self._namespaces = namespaces
        self._cache = cache
        self._clock = clock
        self._asked: dict[str, float] = {}

    async def of(self, namespace: str) -> bool:
        """Raises KubeError when it can't be told: a freeze must not be overlooked."""
        now = self._clock.monotonic()
        asked = self._asked.get(namespace)
        if asked is None or now - asked >= GOOD_FOR_S:
            suspended = await self._namespaces.is_suspended(namespace)
            self._cache.set_suspended(namespace, suspended)
            self._asked[namespace] = self._clock.monotonic()
        return self._cache.is_suspended(namespace)
