"""Fields that the schema has and this release does not act on yet."""

from __future__ import annotations

from bullmq_operator.domain.spec import LateJobs, OnTimeout, Spec


def unsupported(spec: Spec) -> tuple[str, ...]:
    """Fields set to something that is not supported yet, as `field: value`."""
    rows = (
        (spec.drain.handover != "OwnWorkers", f"drain.handover: {spec.drain.handover}"),
        (spec.drain.on_timeout is OnTimeout.DISCARD, "drain.onTimeout: Discard"),
        (spec.drain.schedulers != "Block", f"drain.schedulers: {spec.drain.schedulers}"),
        (spec.retire.approval != "Automatic", f"retire.approval: {spec.retire.approval}"),
        (spec.retire.archive, "retire.archive"),
        (spec.retire.late_jobs is LateJobs.MIGRATE, "retire.lateJobs: Migrate"),
        (spec.deletion_policy != "Orphan", f"deletionPolicy: {spec.deletion_policy}"),
    )
    return tuple(text for is_set, text in rows if is_set)
