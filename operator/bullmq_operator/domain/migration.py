"""What a migration of jobs from one version's queue to another's did, and what it had to leave."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from bullmq_operator.domain.names import QueueId


class LeftReason(enum.StrEnum):
    """Why jobs stay in the queue they are in. None of these is lost: each is counted there."""

    ACTIVE = "Active"
    """A worker has them; they come back to waiting if it fails or is seen to be gone."""
    WAITING_CHILDREN = "WaitingChildren"
    """Their children know them by their key; once those are done they wait, and can be moved."""
    PENDING_CHILDREN = "PendingChildren"
    """Waiting, with children that are not done yet: as above."""
    TOO_MANY_CHILDREN = "TooManyChildren"
    """More ended children than can be told the new key in one call (500)."""
    SCHEDULERS = "Schedulers"
    """The schedulers themselves: `drain.schedulers` says what becomes of them."""
    SCHEDULERS_NEXT = "SchedulersNext"
    """The next run of a scheduler that is still there: working on it makes the run after it."""
    PENDING_DEDUPLICATED = "PendingDeduplicated"
    """The target has a pending add of this deduplication id already, or is of BullMQ v4, which
    knows none."""
    NO_JOB = "NoJob"
    """An id in an index with no job behind it."""


class MigrationRefusal(enum.StrEnum):
    """Why nothing at all was moved."""

    ANOTHER_REDIS = "AnotherRedis"
    ANOTHER_SLOT = "AnotherSlot"
    SAME_QUEUE = "SameQueue"


@dataclass(frozen=True, slots=True)
class LeftJobs:
    """Jobs that stayed, for one reason."""

    reason: LeftReason
    count: int
    examples: tuple[str, ...] = ()
    """Ids, at most ten; none for a reason that is known by a count alone."""


@dataclass(frozen=True, slots=True)
class MigrationOutcome:
    """One run over a queue."""

    migrated_jobs: int = 0
    """At least: when an answer of Redis is lost, what that call moved is not counted."""
    left: tuple[LeftJobs, ...] = ()
    """By reason, as the run's last look found it."""
    still_fed: bool = False
    """Producers added jobs to the last look; they are there, as any late job."""
    refused: MigrationRefusal | None = None
    message: str = ""
    """Of a refusal: what is in the way, and the way out."""


@dataclass(frozen=True, slots=True)
class MigrationRun:
    """The last run over a queue, known until the process ends: then another run tells it anew."""

    target: QueueId
    ended_at: datetime
    outcome: MigrationOutcome


def id_prefix(version: str) -> str:
    """What goes before the ids of jobs that come from this version, where they can't be kept."""
    return f"v{version.removeprefix('v')}-"
