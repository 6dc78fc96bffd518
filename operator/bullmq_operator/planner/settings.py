"""The settings of a queue that was deleted, or was to be, and is used again.

A retirement keeps them in the status, because the queue's end takes them along: global concurrency,
a rate limit. Without its concurrency a "one at a time" queue runs unbounded.
"""

from __future__ import annotations

from dataclasses import replace

from bullmq_operator.domain.counts import Unknown
from bullmq_operator.domain.plan import RestoreSettings
from bullmq_operator.domain.progress import Progress


def give_back(progress: Progress) -> Progress:
    """Until a look at the queue shows them there; only then are they forgotten, and its workers may
    come. Those that stand on record are missing in the queue, or were never seen in it."""
    recorded = progress.status.retirement.queue_settings
    if not recorded or progress.frozen or not progress.keeps_workers or progress.leaves_workers:
        return progress
    version, there = progress.view.version, dict(progress.view.settings or ())
    missing = tuple((name, value) for name, value in recorded if name not in there)
    if not missing:
        retirement = replace(progress.status.retirement, queue_settings=())
        return replace(progress, status=replace(progress.status, retirement=retirement))
    progress = replace(progress, settings_due=tuple(name for name, _ in missing))
    if isinstance(progress.view.reading, Unknown):
        return progress
    restore = RestoreSettings(version.key, version.queue, missing)
    return replace(progress, actions=(*progress.actions, restore))
