"""One reason why a version is not drained."""

from __future__ import annotations

from dataclasses import dataclass

from bullmq_operator.domain.reasons import HeldReason


@dataclass(frozen=True, slots=True)
class Blocker:
    """What has to happen before the queue is empty."""

    kind: str
    """BullMQ's name of the state: waiting, active, delayed, ..."""
    count: int
    message: str
    held: HeldReason | None = None
    """Set when it will not end by itself."""
    remedy: str = ""
    """What a person can do about it; with `held` only."""


@dataclass(frozen=True, slots=True)
class Held:
    """A version needs a person."""

    reason: HeldReason
    message: str
