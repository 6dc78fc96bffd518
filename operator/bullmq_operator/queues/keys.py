"""The names of BullMQ's keys, all majors from 4 to 6 (`classes/queue-keys.js`, `commands/*.lua`).

A queue's keys are `<base><suffix>` with base `<prefix>:<queue>:`. A prefix may itself hold `:`, so
keys of another queue may share our base: `<base><other queue>:meta`.
"""

from __future__ import annotations

from typing import Final

FIXED: Final = (
    "wait",
    "paused",
    "active",
    "delayed",
    "prioritized",
    "waiting-children",
    "repeat",
    "completed",
    "failed",
    "meta",
    "id",
    "events",
    "marker",
    "pc",
    "limiter",
    "stalled",
    "stalled-check",
    "delay",
    "priority",
    "metrics:completed",
    "metrics:completed:data",
    "metrics:failed",
    "metrics:failed:data",
)
"""One of each per queue. `delay` and `priority` are older versions', still deleted by v6."""

RESIDUE_FIXED: Final = frozenset(name for name in FIXED if name.startswith(("metrics", "limiter")))
"""Fixed keys that outlive the jobs and may go before the close."""

JOB_PARTS: Final = {
    "logs": "list",
    "dependencies": "set",
    "processed": "hash",
    "failed": "hash",
    "unsuccessful": "zset",
    "lock": "string",
}
"""Sub-keys of a job, `<base><job id>:<part>`, and their types."""

DEAD_JOB_FIELDS: Final = frozenset(
    {"atm", "ats", "attemptsMade", "stc", "failedReason", "stacktrace", "returnvalue", "progress"}
    | {"finishedOn", "processedOn", "pb", "rjk", "nrjid", "defa", "deid"}
)
"""Fields a late worker may write to the hash of a job that is gone; none of them is its data."""

FOREIGN_MARKS: Final = {"meta": "hash", "id": "string", "wait": "list"}
"""A key `<base>x:meta`, `:id` or `:wait` of this type says that `<base>x:` is another queue."""

_OWN_SPACE: Final = {"de": "string", "dn": "hash", "repeat": "hash"}
"""First segments that BullMQ uses below a queue, and the type of the keys there: a deduplication
id may be `id`, a scheduler may be called `meta`."""


def glob_escaped(text: str) -> str:
    r"""For SCAN MATCH: `*`, `?`, `[`, `]` and `\` in a queue's name stand for themselves."""
    return "".join(f"\\{c}" if c in "\\*?[]" else c for c in text)


def may_mark_foreign(rest: str) -> bool:
    """Whether `<base><rest>` may be the mark of another queue (its type decides)."""
    head, _, last = rest.rpartition(":")
    return bool(head) and last in FOREIGN_MARKS


def marks_foreign(rest: str, kind: str) -> bool:
    """Whether a key `<base><rest>` of this type shows that another queue shares our base."""
    head, _, last = rest.rpartition(":")
    if FOREIGN_MARKS.get(last) != kind:
        return False
    return _OWN_SPACE.get(head.partition(":")[0]) != kind


def job_part(rest: str) -> tuple[str, str] | None:
    """(job id, part) when `<base><rest>` is named like a job's sub-key."""
    owner, _, part = rest.rpartition(":")
    return (owner, part) if owner and part in JOB_PARTS else None


def job_keys(base: str, job_id: str) -> tuple[str, ...]:
    """The job's hash and all the sub-keys it may have."""
    return (f"{base}{job_id}", *(f"{base}{job_id}:{part}" for part in JOB_PARTS))


def queue_of(job_key: str) -> str:
    """`prefix:queue` of a job's full key; ids of repeated jobs are `repeat:<id>:<ms>`."""
    head, mark, _ = job_key.partition(":repeat:")
    return head if mark else job_key.rpartition(":")[0]
