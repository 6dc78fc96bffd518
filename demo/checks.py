"""What the demo promises, each held against the world as it is at the end."""

from __future__ import annotations

from dataclasses import dataclass

from demo.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Check:
    """One promise and what was seen of it."""

    promise: str
    holds: bool
    seen: str


def all_processed(version: str, ledger: Ledger) -> Check:
    """Every acknowledged job was processed, by the programs' own ledger and not BullMQ's keys."""
    mine = ledger.of(version)
    again = f", {mine.repeated} of them more than once" if mine.repeated else ""
    return Check(
        f"every job produced for v{version} was processed",
        mine.complete,
        f"{mine.added} produced, {mine.done} processed{again}",
    )


def equals(promise: str, seen: object, wanted: object) -> Check:
    """Something is exactly so."""
    return Check(promise, seen == wanted, str(seen) or "nothing")


def scaled_down_after(last_done: str, first_scale: str) -> Check:
    """The workers stayed until the last job was done (ISO times in UTC; empty: never seen)."""
    return Check(
        "v1's workers stayed until its last job was done",
        bool(last_done and first_scale) and last_done < first_scale,
        f"last job {last_done[11:23] or 'never'}, scaled down {first_scale[11:23] or 'never'}",
    )
