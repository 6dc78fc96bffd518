"""From proven empty to nothing left: delay, inventory, guarded deletion, watch."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from bullmq_operator.domain.blockers import Held
from bullmq_operator.domain.counts import Inventory, QueueReading, Unknown
from bullmq_operator.domain.plan import RetireQueue, SweepRecreated
from bullmq_operator.domain.progress import Progress, Role
from bullmq_operator.domain.reasons import HeldReason
from bullmq_operator.domain.spec import FailedJobs, Obliterate
from bullmq_operator.domain.wording import clock, counted
from bullmq_operator.planner.blockers import inventory_blockers

LOOK_AT_KEYS = timedelta(seconds=60)
"""What only an inventory shows is looked for again this often; a SCAN walks the whole keyspace."""


def retire(progress: Progress, now: datetime) -> Progress:
    """The next step of the retirement, if everything before it holds."""
    reading = progress.view.reading
    progress = _count_outcome(progress)
    if (
        progress.role is not Role.DRAIN
        or not progress.proven_empty
        or not isinstance(reading, QueueReading)
    ):
        return progress
    progress = _asked_for_more(progress)
    if progress.frozen:
        return replace(progress, retired=progress.status.retired_at is not None)
    if progress.held is not None or not progress.workers_gone:
        return progress
    if progress.status.retired_at is not None:
        return _watch(progress, reading, now)
    gone_at, spec = progress.status.workers_gone_at, progress.view.version.spec.retire
    assert gone_at is not None
    if spec.obliterate is Obliterate.NEVER:
        return _retired(_called_off(progress, reading), now)
    if _closed(progress, reading):
        return _finish(progress, reading, now)
    due = gone_at + spec.delay
    if now < due:
        why = f"retire.delay ends at {clock(due)}; until then a rollback is cheap"
        return replace(progress, why=why, look_again=(*progress.look_again, due))
    return _delete(progress, reading, now)


def _asked_for_more(progress: Progress) -> Progress:
    """Retired under `obliterate: Never`, and asked to obliterate since: not done after all."""
    status, spec = progress.status, progress.view.version.spec.retire
    kept = status.retired_at is not None and status.retirement.started_at is None
    if kept and spec.obliterate is Obliterate.WHEN_DRAINED:
        return replace(progress, status=replace(status, retired_at=None))
    return progress


def _called_off(progress: Progress, reading: QueueReading) -> Progress:
    """Asked for `Never` while the deletion was under way: what is left stays, as if it had never
    begun. With the intent on record its job counter would be taken for late jobs."""
    if _closed(progress, reading):
        return progress
    retirement = replace(progress.status.retirement, started_at=None)
    return replace(progress, status=replace(progress.status, retirement=retirement))


def _closed(progress: Progress, reading: QueueReading) -> bool:
    """Absent with the intent on record: it was us."""
    counts = reading.counts
    return (
        progress.status.retirement.started_at is not None
        and reading.jobs_added is None
        and counts.unfinished + counts.completed + counts.failed == 0
    )


def _finish(progress: Progress, reading: QueueReading, now: datetime) -> Progress:
    return _sweep(progress, reading, now) if reading.has_keys else _retired(progress, now)


def _sweep(progress: Progress, reading: QueueReading, now: datetime) -> Progress:
    """Keys without jobs in a queue that was deleted. Not retired while they are there."""
    version = progress.view.version
    held = _shared_queue(progress) if progress.view.rivals else _meant(progress, reading)
    if held is not None:
        return replace(progress, held=held, look_again=(*progress.look_again, now + LOOK_AT_KEYS))
    return replace(
        progress,
        actions=(*progress.actions, SweepRecreated(version.key, version.queue)),
        why="keys that a client made anew are being swept",
    )


def _meant(progress: Progress, reading: QueueReading) -> Held | None:
    """No client sets these by itself: somebody did, and may count on them."""
    queue, names = progress.view.version.queue, [name for name, _ in progress.view.settings or ()]
    done = ["paused it"] if reading.is_paused else []
    if names:
        done.append(f"set its {', '.join(names)}")
    if not done:
        return None
    message = (
        f'queue "{queue.name}" was deleted, and since then somebody {" and ".join(done)}, so its '
        f'key "{queue.base}meta" is left: if nobody needs the queue, find who still opens it and '
        "remove that key; if it is to be used again, set spec.state: Pinned, or delete this object"
    )
    return Held(HeldReason.KEYS_LEFT, message)


def _retired(progress: Progress, now: datetime) -> Progress:
    status = replace(progress.status, retired_at=progress.status.retired_at or now)
    return replace(progress, status=status, retired=True)


def _watch(progress: Progress, reading: QueueReading, now: datetime) -> Progress:
    """Retired stays under watch: keys without jobs that an old process makes are swept."""
    obliterated = progress.view.version.spec.retire.obliterate is Obliterate.WHEN_DRAINED
    if obliterated and reading.has_keys and reading.jobs_added is None:
        progress = _sweep(progress, reading, now)
    return replace(progress, retired=progress.held is None)


def _delete(progress: Progress, reading: QueueReading, now: datetime) -> Progress:
    view = progress.view
    held = _before_deletion(progress, reading)
    if held is not None:
        return replace(progress, held=held)
    inventory = view.inventory
    if inventory is None:
        return replace(progress, wants_inventory=True, why="the queue's keys are being looked at")
    if isinstance(inventory, Unknown):
        look = (*progress.look_again, now + LOOK_AT_KEYS)
        unread = (inventory.reason, inventory.message)
        return replace(progress, unknown=unread, look_again=look)
    if inventory.stamp != progress.status.retirement.stamp:
        # Taken before or after the proof: what it calls dead may be alive.
        look = (*progress.look_again, now + LOOK_AT_KEYS)
        why = "the queue's keys are being looked at"
        return replace(progress, wants_inventory=True, why=why, look_again=look)
    return _with_inventory(progress, inventory, now)


def _shared_queue(progress: Progress) -> Held:
    others = ", ".join(str(key) for key in progress.view.rivals)
    message = f"the same queue is named by {others}: nothing is deleted while that is so"
    return Held(HeldReason.SHARED_QUEUE, message)


def _before_deletion(progress: Progress, reading: QueueReading) -> Held | None:
    version, failed = progress.view.version, reading.counts.failed
    if progress.view.rivals:
        return _shared_queue(progress)
    if failed and version.spec.retire.failed_jobs is FailedJobs.HOLD:
        message = (
            f'{counted(failed, "failed job")} left in queue "{version.queue.name}": retry or '
            "remove what failed, or set retire.failedJobs: Discard to delete it with the queue"
        )
        return Held(HeldReason.FAILED_JOBS, message)
    return None


def _with_inventory(progress: Progress, inventory: Inventory, now: datetime) -> Progress:
    found = inventory_blockers(inventory, progress.view.version.queue.base)
    if found:
        reason = found[0].held
        assert reason is not None
        message = " · ".join(f"{b.message} ({b.remedy})" for b in found)
        return replace(
            progress,
            held=Held(reason, message),
            look_again=(*progress.look_again, now + LOOK_AT_KEYS),
        )
    version, status = progress.view.version, progress.status
    retirement = replace(
        status.retirement,
        started_at=status.retirement.started_at or now,
        queue_settings=inventory.settings or status.retirement.queue_settings,
    )
    action = RetireQueue(version.key, version.queue, retirement.stamp, inventory)
    return replace(
        progress,
        status=replace(status, retirement=retirement),
        actions=(*progress.actions, action),
        why="the queue is being deleted in small guarded steps",
    )


def _count_outcome(progress: Progress) -> Progress:
    outcome = progress.view.outcome
    if outcome is None:
        return progress
    old = progress.status.retirement
    retirement = replace(
        old,
        obliterated_jobs=old.obliterated_jobs + outcome.obliterated_jobs,
        swept_keys=old.swept_keys + outcome.swept_keys,
        migrated_jobs=old.migrated_jobs + outcome.migrated_jobs,
    )
    return replace(progress, status=replace(progress.status, retirement=retirement))
