"""Why a queue is not empty: every reason, named and counted."""

from __future__ import annotations

from datetime import timedelta

from bullmq_operator.domain.blockers import Blocker
from bullmq_operator.domain.counts import Inventory, QueueReading
from bullmq_operator.domain.observation import VersionView
from bullmq_operator.domain.reasons import HeldReason
from bullmq_operator.domain.wording import clock, counted

STUCK_AFTER = timedelta(minutes=2)
"""Ready Pods attach within seconds, and reconnect within a minute when Redis was away. With jobs in
the queue and nothing done for so long, they listen to something else."""


def blockers(view: VersionView, reading: QueueReading) -> tuple[Blocker, ...]:
    """All blockers that counters and connections show; none means nothing is unfinished."""
    counts = reading.counts
    found: list[Blocker] = []
    takeable = counts.waiting + counts.prioritized + counts.paused
    if reading.is_paused or counts.paused:
        if takeable:
            found.append(
                Blocker(
                    "paused",
                    takeable,
                    f"paused with {takeable} waiting",
                    HeldReason.QUEUE_PAUSED,
                    "resume the queue (Queue.resume()) or remove its jobs",
                )
            )
    else:
        found.extend(_takeable(view, reading))
    if counts.active:
        found.append(_active(view, counts.active))
    if counts.delayed:
        # BullMQ's workers promote delayed jobs: with none expected, they stay.
        message = _delayed(view, counts.delayed) + _nobody(view)
        found.append(Blocker("delayed", counts.delayed, message, *_nobody_held(view)))
    if counts.waiting_children:
        found.append(
            Blocker(
                "waiting-children", counts.waiting_children, _parents(view, counts.waiting_children)
            )
        )
    if counts.schedulers:
        found.append(_schedulers(view, counts.schedulers))
    return tuple(found)


def _takeable(view: VersionView, reading: QueueReading) -> list[Blocker]:
    rows = (("waiting", reading.counts.waiting), ("prioritized", reading.counts.prioritized))
    return [
        Blocker(kind, n, f"{n} {kind}{_nobody(view)}", *_nobody_held(view)) for kind, n in rows if n
    ]


def _active(view: VersionView, count: int) -> Blocker:
    return Blocker("active", count, f"{count} active{_nobody(view)}", *_nobody_held(view))


def _nobody(view: VersionView) -> str:
    return ", no worker attached" if view.clients == () else ""


def _nobody_held(view: VersionView) -> tuple[HeldReason | None, str]:
    """Nobody is attached, and nobody is about to be."""
    if view.clients != ():
        return None, ""
    wanted = [w.workload for w in view.workloads if w.workload and w.workload.replicas]
    if wanted:
        settled = all(w.observed and w.ready_replicas >= w.replicas for w in wanted)
        if not settled or view.idle_for is None or view.idle_for < STUCK_AFTER:
            return None, ""
        return (
            HeldReason.NO_WORKER_ATTACHED,
            f"{wanted[0].key} is ready, but none of its workers listens to this queue: check the "
            "queue name, prefix and Redis that they use, or start workers that do",
        )
    restorable = bool(view.version.status.restore_replicas())
    if restorable or any(w.scale_to_zero_allowed for w in view.workloads):
        return None, ""
    return (
        HeldReason.NO_WORKER_ATTACHED,
        "start workers on this queue (scale their Deployment up)",
    )


def _delayed(view: VersionView, count: int) -> str:
    detail = view.detail
    if detail is None or detail.next_delayed is None:
        return f"{count} delayed"
    text = f"{count} delayed (next due {clock(detail.next_delayed)}"
    if detail.last_delayed is not None and detail.last_delayed != detail.next_delayed:
        text += f", last {clock(detail.last_delayed)}"
    return text + ")"


def _parents(view: VersionView, count: int) -> str:
    queues = sorted({q for _, q in view.detail.waiting_parents}) if view.detail else []
    where = f" in {', '.join(chr(34) + q + chr(34) for q in queues)}" if queues else ""
    return f"{counted(count, 'parent')} waiting for children{where}"


def _schedulers(view: VersionView, count: int) -> Blocker:
    names = view.detail.schedulers if view.detail else ()
    listed = ", ".join(f'"{name}"' for name in names)
    more = f" and {count - len(names)} more" if names and count > len(names) else ""
    noun = "scheduler" if count == 1 else "schedulers"
    return Blocker(
        "schedulers",
        count,
        f"{noun} {listed}{more}" if names else counted(count, "job scheduler"),
        HeldReason.BLOCKED_BY_SCHEDULER,
        "a job scheduler makes new jobs for ever: remove it with Queue.removeJobScheduler() (a "
        "repeatable job of BullMQ v4 or v5: Queue.removeRepeatableByKey()), once the new version "
        "has its own",
    )


def inventory_blockers(inventory: Inventory, base: str) -> tuple[Blocker, ...]:
    """What only a walk over the keys shows; `base` is the queue's, so that keys are named whole."""
    rows = (
        (
            HeldReason.ORPHANED_JOBS,
            "orphaned",
            tuple(base + job for job in inventory.orphans),
            (
                "job that is in no state of the queue and never ran",
                "jobs that are in no state of the queue and never ran",
            ),
            "add again what is still wanted, then remove these keys and their sub-keys",
        ),
        (
            HeldReason.PENDING_DEDUPLICATED,
            "pending-deduplicated",
            tuple(f"{base}dn:{name}" for name in inventory.pending_deduplicated),
            (
                "deduplicated add that waits to become a job",
                "deduplicated adds that wait to become jobs",
            ),
            "add again what is still wanted, then remove these keys",
        ),
        (
            HeldReason.PARENT_ELSEWHERE,
            "parent-elsewhere",
            tuple(f"{base}{job} (of {parent})" for job, parent in inventory.parents_elsewhere),
            (
                "failed job whose parent in another queue still waits for it",
                "failed jobs whose parents in other queues still wait for them",
            ),
            "retry or remove what failed, so that the parent can go on",
        ),
        (
            HeldReason.UNKNOWN_KEYS,
            "unknown-keys",
            inventory.unknown_keys,
            ("key that BullMQ is not known to write", "keys that BullMQ is not known to write"),
            "remove what nobody needs, or set retire.obliterate: Never to keep the queue",
        ),
    )
    return tuple(
        Blocker(kind, len(names), f"{counted(len(names), *what)}: {_some(names)}", held, remedy)
        for held, kind, names, what, remedy in rows
        if names
    )


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(f'"{name}"' for name in names[:5]) + more
