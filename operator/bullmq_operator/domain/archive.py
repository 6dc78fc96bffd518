"""What of a queue goes into an archive, and what became of archiving it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class ArchivedJobs(enum.StrEnum):
    """`spec.retire.archive.jobs`: which jobs are written."""

    FAILED = "Failed"
    UNFINISHED = "Unfinished"
    ALL = "All"


class JobState(enum.StrEnum):
    """Where a job was; the values of all but the last are names of BullMQ's indexes."""

    COMPLETED = "completed"
    FAILED = "failed"
    DELAYED = "delayed"
    PRIORITIZED = "prioritized"
    WAITING_CHILDREN = "waiting-children"
    WAITING = "wait"
    PAUSED = "paused"
    ACTIVE = "active"
    ORPHANED = "orphaned"
    """In no index: acknowledged and lost from sight, or finished and left behind."""


FINISHED = frozenset({JobState.COMPLETED, JobState.FAILED})

LISTS = frozenset({JobState.WAITING, JobState.PAUSED, JobState.ACTIVE})
"""Indexes that are lists: the last element is next. The others are sorted sets."""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job with all that Redis holds of it but its lock, as text, to the byte."""

    id: str
    state: JobState
    fields: Mapping[str, str]
    """The job's hash; empty for an id in an index whose job is gone."""
    score: str | None = None
    """In the state's sorted set."""
    logs: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    """Keys of children that are not finished."""
    processed: Mapping[str, str] = field(default_factory=dict)
    """Results of finished children, by key."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Reasons of failed children that are ignored, by key."""
    unsuccessful: Mapping[str, str] = field(default_factory=dict)
    """Scores of failed children, by key."""


@dataclass(frozen=True, slots=True)
class SchedulerRecord:
    """A job scheduler, or a repeatable of BullMQ v4 (which has no fields)."""

    id: str
    next: str
    """When it is due, in milliseconds since 1970."""
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeduplicationRecord:
    """A deduplication id and the job that owns it."""

    id: str
    owner: str
    expires: int | None = None
    """Milliseconds since 1970; None: when the job is done."""


@dataclass(frozen=True, slots=True)
class PendingRecord:
    """An acknowledged add that is no job yet: it waits for the owner of its deduplication id."""

    id: str
    fields: Mapping[str, str]


Record = JobRecord | SchedulerRecord | DeduplicationRecord | PendingRecord


@dataclass(frozen=True, slots=True)
class QueueState:
    """What a queue is besides its jobs."""

    settings: Mapping[str, str] = field(default_factory=dict)
    """`meta` as it is: global concurrency, rate limit, `paused`, BullMQ's version."""
    jobs_added: int | None = None
    """The `id` counter."""
    priority_counter: int | None = None


@dataclass(frozen=True, slots=True)
class ArchiveOutcome:
    """A whole archive, written and read again, or why there is none."""

    url: str
    stamp: str | None
    """The proof that it belongs to; another stamp needs another archive."""
    jobs: int = 0
    states: tuple[tuple[str, int], ...] = ()
    """Jobs by state, without zeros."""
    reused: bool = False
    """It was there, whole, and of this very state of the queue."""
    stopped_by: str | None = None
    """None, or `Activity`: something happened in the queue meanwhile, so nothing was kept."""
