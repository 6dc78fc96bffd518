"""The observer put together as the app does it, with a list of who was woken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from bullmq_operator.clock import Clock
from bullmq_operator.domain.names import FamilyKey, RedisSource, SecretKeyRef, VersionKey
from bullmq_operator.domain.observation import QueueVersion
from bullmq_operator.domain.spec import Spec
from bullmq_operator.domain.status import Phase, Status
from bullmq_operator.observer.attachments import Attachments
from bullmq_operator.observer.backends import Backends, DefaultRedis
from bullmq_operator.observer.cache import Cache
from bullmq_operator.observer.hints import Hints
from bullmq_operator.observer.poller import Poller
from bullmq_operator.observer.ports import Secrets
from bullmq_operator.observer.reader import QueueReader
from bullmq_operator.observer.readings import Readings, Seen

SPARE_S = 60.0
INTERVAL = timedelta(milliseconds=50)


class NoSecrets:
    """For URLs that stand in the spec: nothing may be asked of Kubernetes."""

    async def read_secret_key(self, namespace: str, ref: SecretKeyRef) -> str:
        raise AssertionError(f"asked for {ref} in {namespace}")


class Woken(list[FamilyKey]):
    """Families in the order they were woken."""

    async def until(self, family: FamilyKey, timeout: float = 10.0) -> None:
        """Wait for it."""
        await eventually(lambda: family in self, f"{family} to be woken", timeout)


@dataclass
class Eyes:
    """All of the observer that looks at Redis."""

    secrets: Secrets = field(default_factory=NoSecrets)
    default: DefaultRedis = field(default_factory=DefaultRedis)
    clock: Clock = field(default_factory=Clock)
    cache: Cache = field(default_factory=Cache)
    readings: Readings = field(default_factory=Readings)
    woken: Woken = field(default_factory=Woken)
    interval: timedelta = INTERVAL
    missed: int = 0
    """How often the poll could not read a Redis."""

    def __post_init__(self) -> None:
        self.backends = Backends(self.secrets, self.default, self.clock)
        self.reader = QueueReader(
            backends=self.backends,
            readings=self.readings,
            cache=self.cache,
            clock=self.clock,
            wake=self.woken.append,
            spare_for_s=SPARE_S,
            missed=self._count_missed,
        )
        self.poller = Poller(
            cache=self.cache,
            backends=self.backends,
            readings=self.readings,
            reader=self.reader,
            attachments=Attachments(self.clock),
            clock=self.clock,
            interval=self.interval,
            wake=self.woken.append,
        )
        self.hints = Hints(self.cache, self.backends, self.readings, self.poller.look)

    def _count_missed(self) -> None:
        self.missed += 1

    async def look(self, version: QueueVersion, *, insist: bool = False) -> Seen:
        """One fresh reading with its stamp."""
        queue = version.queue
        return (await self.reader.read([queue], stamped=frozenset({queue}), insist=insist))[queue]

    async def a_few_beats(self) -> None:
        """Wait until the poll has begun three more."""
        for _ in range(3):
            last = self.poller.last_beat
            await eventually(lambda last=last: self.poller.last_beat != last, "the next beat")


def a_version(
    url: str | None,
    name: str = "orders-v1",
    *,
    namespace: str = "shop",
    phase: Phase = Phase.DRAINING,
    redis: RedisSource | None = None,
) -> QueueVersion:
    """`orders/v1` in this Redis."""
    spec = Spec("orders", name.rpartition("-v")[2], redis=redis or RedisSource(url=url))
    return QueueVersion(
        VersionKey(namespace, name), f"uid-{namespace}-{name}", 1, "1", spec, Status(phase=phase)
    )


async def eventually(done: Callable[[], bool], what: str, timeout: float = 10.0) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + timeout
    while not done():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.01)
