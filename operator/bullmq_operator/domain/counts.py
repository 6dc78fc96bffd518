"""What was read of one queue in Redis, or why nothing could be read."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """Jobs by state. Unlike BullMQ's own default counts, `paused` (the list of v4 and v5) is in."""

    waiting: int = 0
    paused: int = 0
    active: int = 0
    delayed: int = 0
    prioritized: int = 0
    waiting_children: int = 0
    schedulers: int = 0
    completed: int = 0
    failed: int = 0

    @property
    def unfinished(self) -> int:
        """Everything that still has to happen, job schedulers included."""
        return (
            self.waiting
            + self.paused
            + self.active
            + self.delayed
            + self.prioritized
            + self.waiting_children
            + self.schedulers
        )


@dataclass(frozen=True, slots=True)
class QueueReading:
    """One atomic look at one queue."""

    counts: QueueCounts
    is_paused: bool = False
    """`meta.paused`: workers take no jobs."""
    jobs_added: int | None = None
    """The `id` counter; None: no such key, so no job was ever added in this database."""
    has_keys: bool = False
    """Whether any of the queue's fixed keys exists (meta, events, stalled-check, ... included)."""
    stamp: str | None = None
    """The events stream's last-generated-id; None: not asked for, or no stream."""
    redis_time: datetime | None = None
    """Redis's own clock at the reading."""


@dataclass(frozen=True, slots=True)
class QueueDetail:
    """What the blockers' messages need beyond counts; read for draining queues only."""

    next_delayed: datetime | None = None
    last_delayed: datetime | None = None
    schedulers: tuple[str, ...] = ()
    """Ids of job schedulers and keys of repeatables, at most ten."""
    waiting_parents: tuple[tuple[str, str], ...] = ()
    """(job id, `prefix:queue` of a pending child) of parents waiting for children, at most ten."""


@dataclass(frozen=True, slots=True, order=True)
class AttachedClient:
    """A BullMQ worker connection that blocks on the queue (`CLIENT LIST`)."""

    address: str
    name: str

    @property
    def host(self) -> str:
        """The address without its port."""
        return self.address.rpartition(":")[0].strip("[]")


class UnknownReason(enum.StrEnum):
    """Why a queue could not be read; also the reason of `BackendReachable`."""

    NOT_READ_YET = "NotReadYet"
    UNREACHABLE = "RedisUnreachable"
    WRONG_PASSWORD = "AuthenticationFailed"  # noqa: S105  (a reason, not a password)
    FORBIDDEN = "CommandForbidden"
    READ_ONLY = "ReadOnlyReplica"
    LOADING = "RedisLoading"
    SECRET_MISSING = "SecretNotFound"  # noqa: S105
    SECRET_KEY_MISSING = "SecretKeyNotFound"  # noqa: S105
    BAD_URL = "InvalidRedisURL"
    NOT_ALLOWED = "DefaultRedisNotAllowed"
    NOT_CONFIGURED = "NoRedisConfigured"
    WRONG_TYPE = "UnexpectedKeyType"
    TLS_FAILED = "TLSFailed"
    WRONG_TOPOLOGY = "WrongTopology"

    @property
    def needs_edit(self) -> bool:
        """Whether only an edit of an object cures it (then `Stalled` is True)."""
        return self in _NEEDS_EDIT


_NEEDS_EDIT = frozenset(
    {
        UnknownReason.SECRET_MISSING,
        UnknownReason.SECRET_KEY_MISSING,
        UnknownReason.BAD_URL,
        UnknownReason.NOT_ALLOWED,
        UnknownReason.NOT_CONFIGURED,
        UnknownReason.WRONG_TOPOLOGY,
    }
)


@dataclass(frozen=True, slots=True)
class Unknown:
    """Counts that could not be read: never the same as zero."""

    reason: UnknownReason
    message: str
    """One sentence for a person, without secrets: what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class ClientsUnknown:
    """`CLIENT LIST` was refused or failed: who is attached can't be said."""

    message: str


Clients = tuple[AttachedClient, ...] | ClientsUnknown


@dataclass(frozen=True, slots=True)
class Inventory:
    """A read-only walk over every key of a queue, each classified."""

    stamp: str | None
    finished_jobs: int
    orphans: tuple[str, ...] = ()
    """Ids of job hashes without `finishedOn` that are in no index (acknowledged, never run)."""
    pending_deduplicated: tuple[str, ...] = ()
    """Deduplication ids with a `dn:` hash: an acknowledged add that is no job yet."""
    parents_elsewhere: tuple[tuple[str, str], ...] = ()
    """(failed job id, key of the parent that still waits for it in another queue)."""
    unknown_keys: tuple[str, ...] = ()
    """Keys below the queue's base that are no kind BullMQ is known to write (names only)."""
    foreign_queues: tuple[str, ...] = ()
    """Queues whose keys share our base because a prefix may hold `:`; never touched."""
    residue: tuple[str, ...] = ()
    """Classified keys for the sweep: de:, limiter, metrics, remains of dead jobs."""
    settings: tuple[tuple[str, str], ...] = ()
    """`meta` fields that are the queue's settings (concurrency, max, duration), to be restored."""


@dataclass(frozen=True, slots=True)
class RetirementOutcome:
    """What the calls that take jobs or keys away did, or why they stopped."""

    obliterated_jobs: int = 0
    swept_keys: int = 0
    migrated_jobs: int = 0
    """Unfinished ones that another version's queue has now."""
    closed: bool = False
    stopped_by: str | None = None
    """None, or why nothing more was deleted. By the guard in the script: `LateJob` (unfinished
    jobs), `Activity` (the stamp moved, or finished jobs are there again), `ParentElsewhere`. By the
    inventory, before any call: `ParentElsewhere`, `UnknownKeys`, `OrphanedJobs`. By the sweep of
    re-created keys: `LateJob` (or finished ones), `KeysLeft` (settings or a pause)."""
