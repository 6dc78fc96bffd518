"""What our actions came to: what was deleted or moved, until a status holds it; what failed, until
it does not."""

from __future__ import annotations

from datetime import datetime

from bullmq_operator.domain.counts import RetirementOutcome
from bullmq_operator.domain.migration import MigrationRun
from bullmq_operator.domain.names import VersionKey


class Outcomes:
    """Outcomes by version. Lost at a crash: then only the numbers in the status fall short, and
    what is left in Redis says where to go on."""

    def __init__(self) -> None:
        self._outcomes: dict[VersionKey, RetirementOutcome] = {}
        self._failures: dict[VersionKey, str] = {}
        self._pruned: dict[VersionKey, datetime] = {}
        self._migrations: dict[VersionKey, MigrationRun] = {}

    def put(self, key: VersionKey, outcome: RetirementOutcome) -> None:
        """Add what another call did."""
        before = self._outcomes.get(key)
        self._outcomes[key] = outcome if before is None else _sum(before, outcome)

    def last(self, key: VersionKey) -> RetirementOutcome | None:
        """What no status holds yet."""
        return self._outcomes.get(key)

    def recorded(self, key: VersionKey, outcome: RetirementOutcome) -> None:
        """A status holds it now, unless more was done meanwhile."""
        if self._outcomes.get(key) == outcome:
            del self._outcomes[key]

    def forget(self, key: VersionKey) -> None:
        """The version is gone."""
        self._outcomes.pop(key, None)
        self._failures.pop(key, None)
        self._pruned.pop(key, None)
        self._migrations.pop(key, None)

    def pruned(self, key: VersionKey, at: datetime) -> None:
        """Its finished jobs were looked through to the end."""
        self._pruned[key] = at

    def pruned_at(self, key: VersionKey) -> datetime | None:
        """When that was last; None: not since the start."""
        return self._pruned.get(key)

    def migrated(self, key: VersionKey, run: MigrationRun) -> None:
        """A run over its jobs came to its end."""
        self._migrations[key] = run

    def migration(self, key: VersionKey) -> MigrationRun | None:
        """The last one; None: not since the start."""
        return self._migrations.get(key)

    def acted(self, key: VersionKey, failure: str | None) -> None:
        """An action on the version failed for this reason; None: none did."""
        if failure is None:
            self._failures.pop(key, None)
        else:
            self._failures[key] = failure

    def failure(self, key: VersionKey) -> str | None:
        """Why the last action on the version failed."""
        return self._failures.get(key)


def _sum(first: RetirementOutcome, then: RetirementOutcome) -> RetirementOutcome:
    return RetirementOutcome(
        obliterated_jobs=first.obliterated_jobs + then.obliterated_jobs,
        swept_keys=first.swept_keys + then.swept_keys,
        migrated_jobs=first.migrated_jobs + then.migrated_jobs,
        closed=then.closed,
        stopped_by=then.stopped_by,
    )
