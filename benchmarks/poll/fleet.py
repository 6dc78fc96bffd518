"""The operator's poll over many QueueVersions, without Kubernetes: the cache is filled by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count

from bullmq_operator.clock import Clock
from bullmq_operator.domain.counts import QueueReading
from bullmq_operator.domain.names import RedisSource, SecretKeyRef, VersionKey
from bullmq_operator.domain.observation import QueueVersion
from bullmq_operator.domain.spec import Spec
from bullmq_operator.domain.status import Phase, Status
from bullmq_operator.observer.attachments import Attachments
from bullmq_operator.observer.backends import Backends, DefaultRedis
from bullmq_operator.observer.cache import Cache
from bullmq_operator.observer.poller import Poller
from bullmq_operator.observer.reader import QueueReader
from bullmq_operator.observer.readings import Readings

NAMESPACES = 100


class _NoSecrets:
    """The Redis is the operator's default one, whose URL is a setting."""

    async def read_secret_key(self, namespace: str, ref: SecretKeyRef) -> str:
        raise AssertionError(f"asked for {ref} in {namespace}")


class Fleet:
    """`size` current versions, each of a queue of its own, in a hundred namespaces."""

    def __init__(self, url: str, size: int) -> None:
        clock, self._cache, self._readings = Clock(), Cache(), Readings()
        self._backends = Backends(_NoSecrets(), DefaultRedis(url), clock)
        ignore: Callable[[object], None] = lambda _: None  # noqa: E731
        reader = QueueReader(
            backends=self._backends,
            readings=self._readings,
            cache=self._cache,
            clock=clock,
            wake=ignore,
            spare_for_s=5.0,
        )
        self._poller = Poller(
            cache=self._cache,
            backends=self._backends,
            readings=self._readings,
            reader=reader,
            attachments=Attachments(clock),
            clock=clock,
            interval=timedelta(seconds=5),
            wake=ignore,
        )
        self._versions = [_version(number) for number in range(size)]
        for version in self._versions:
            self._cache.upsert_version(version)
        self._changes = count(2)

    def queue_names(self) -> list[str]:
        """The physical queues, as BullMQ names them."""
        return [version.queue.name for version in self._versions]

    async def beat(self) -> None:
        """Once through all queues."""
        await self._poller.beat(self._cache.backends())

    async def change_and_beat(self) -> None:
        """The same after a version was written, as each status update does."""
        changed = replace(self._versions[0], resource_version=str(next(self._changes)))
        self._cache.upsert_version(changed)
        await self.beat()

    def check(self) -> None:
        """Every queue was read."""
        for version in self._versions:
            seen = self._readings.last(version.queue)
            assert seen is not None
            assert isinstance(seen.reading, QueueReading)
            assert seen.reading.counts.completed > 0

    async def close(self) -> None:
        """Drop the connections."""
        await self._backends.close()


def _version(number: int) -> QueueVersion:
    key = VersionKey(f"team-{number % NAMESPACES}", f"queue-{number}-v1")
    spec = Spec(f"queue-{number}", "1", redis=RedisSource())
    return QueueVersion(key, f"uid-{number}", 1, "1", spec, Status(phase=Phase.CURRENT))
