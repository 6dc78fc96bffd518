"""A queue and its archives, as tests speak of them."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import redis

from bullmq_operator.archive.destination import Destination, parse
from bullmq_operator.archive.restoring import Restored, Target, restore
from bullmq_operator.archive.writing import Order, archive_queue
from bullmq_operator.domain.archive import ArchivedJobs, ArchiveOutcome
from bullmq_operator.domain.counts import Inventory
from bullmq_operator.domain.names import VersionKey
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.inventory import take_inventory
from devcluster import bullmq
from devcluster.bullmq import Major
from tests.integration.queues.support import Shop

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
VERSION = VersionKey("shop", "orders-v1")
UNKEPT = {"events", "marker", "stalled-check", "meta"}
"""What is not a job's: the history, wake-up calls, and what each client writes for itself."""

V4_MARKER = re.compile(r"0:\d+")


@dataclass(frozen=True)
class Shelf:
    """One queue and a folder."""

    url: str
    raw: redis.Redis
    connection: RedisConnection
    folder: Path
    major: Major = Major.V6
    name: str = "orders/v1"

    @property
    def shop(self) -> Shop:
        return Shop(self.url, self.raw, self.name)

    @property
    def base(self) -> str:
        return self.shop.base

    def queue(self, name: str) -> Shelf:
        """Another one of the same Redis."""
        return replace(self, name=name)

    def run(self, *steps: list[Any]) -> list[Any]:
        """Steps by the BullMQ of this test."""
        return bullmq.run(self.url, self.name, *steps, major=self.major)

    async def inventory(self) -> Inventory:
        return await take_inventory(self.connection, self.shop.queue)

    async def archive(
        self,
        jobs: ArchivedJobs = ArchivedJobs.ALL,
        *,
        destination: Destination | None = None,
        inventory: Inventory | None = None,
    ) -> ArchiveOutcome:
        """Into the folder unless said otherwise."""
        order = Order(self.shop.queue, VERSION, inventory or await self.inventory(), jobs)
        where = destination or parse(f"file://{self.folder}")
        return await archive_queue(self.connection, order, where, NOW)

    async def restore(self, outcome: ArchiveOutcome, **target: Any) -> Restored:
        """From the folder, into this queue."""
        head, _, name = outcome.url.rpartition("/")
        return await restore(self.connection, parse(head), name, Target(self.base, **target))

    def forget(self) -> None:
        """All keys of the queue."""
        self.raw.delete(*self.shop.keys())

    def jobs_snapshot(self) -> dict[str, str]:
        """Digests of what an archive keeps."""
        rests = {
            key.removeprefix(self.base): digest for key, digest in self.shop.snapshot().items()
        }
        waiting = cast(list[str], self.raw.lrange(f"{self.base}wait", 0, -1))
        rests["wait"] = str([job for job in waiting if not V4_MARKER.fullmatch(job)])
        return {key: digest for key, digest in rests.items() if key not in UNKEPT}

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())


def path_of(outcome: ArchiveOutcome) -> Path:
    """Of an archive in a folder."""
    return Path(outcome.url.removeprefix("file://"))


def lines_of(outcome: ArchiveOutcome) -> list[dict[str, Any]]:
    """As a person would read it."""
    with gzip.open(path_of(outcome), "rt", encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file]
