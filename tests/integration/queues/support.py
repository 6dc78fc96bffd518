"""A queue of a real Redis, as tests speak of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import redis

from bullmq_operator.domain.names import Backend, QueueId, RedisSource
from devcluster import bullmq
from devcluster.bullmq import Major

BACKEND = Backend("shop", RedisSource(url="redis://example"))
Step = list[Any]
FAILING = {"fail": True}


def queue_id(name: str, prefix: str = "bull") -> QueueId:
    """The queue of this name."""
    return QueueId(BACKEND, prefix, name)


@dataclass(frozen=True)
class Shop:
    """One queue, filled by one BullMQ."""

    url: str
    raw: redis.Redis
    name: str = "orders/v1"
    prefix: str = "bull"
    major: Major = Major.V6

    @property
    def queue(self) -> QueueId:
        return queue_id(self.name, self.prefix)

    @property
    def base(self) -> str:
        return self.queue.base

    def other(self, name: str, prefix: str = "bull") -> Shop:
        """Another queue of the same Redis."""
        return replace(self, name=name, prefix=prefix)

    def by(self, major: Major) -> Shop:
        """The same queue, in the hands of another BullMQ."""
        return replace(self, major=major)

    def run(self, *steps: list[Any]) -> list[Any]:
        """Steps of devcluster/programs/jobs.js."""
        return bullmq.run(self.url, self.name, *steps, prefix=self.prefix, major=self.major)

    @contextmanager
    def worker(self, **settings: str) -> Iterator[None]:
        """A live worker, attached; it finishes its job at the end."""
        settings = {
            "REDIS_URL": self.url,
            "BULLMQ_QUEUE_NAME": self.name,
            "BULLMQ_PREFIX": self.prefix,
            "HOSTNAME": "",
        } | settings
        with subprocess.Popen(
            bullmq.command("worker", self.major),
            env=bullmq.environment(self.major) | settings,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                assert any('"ready"' in line for line in process.stdout)
                yield
            finally:
                process.terminate()
                process.communicate(timeout=60)

    def finish(self, completed: int = 3, failed: int = 0) -> None:
        """Add so many jobs, and let a worker finish them."""
        self.run(
            ["addBulk", bullmq.jobs(completed + failed)],
            ["process", completed],
            ["process", failed, FAILING],
        )

    def add(self, job_id: str) -> None:
        """A producer's add, acknowledged when this returns."""
        self.run(["add", "late", {"kept": True}, {"jobId": job_id}])

    def keys(self) -> set[str]:
        """All keys with our base, other queues' included."""
        return {str(key) for key in self.raw.scan_iter() if str(key).startswith(self.base)}

    def snapshot(self) -> dict[str, str]:
        """Every key's value, as Redis's own digest."""
        debug = cast(Any, self.raw)
        return {
            key: str(debug.execute_command("DEBUG", "DIGEST-VALUE", key)) for key in self.keys()
        }
