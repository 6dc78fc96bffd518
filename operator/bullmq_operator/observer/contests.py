"""Who sets replicas back that we set to zero."""

from __future__ import annotations

from dataclasses import dataclass, field

from bullmq_operator.domain.names import WorkloadKey
from bullmq_operator.domain.observation import Workload

FIELD_MANAGER = "bullmq-operator"
TIMES = 3
"""So many times it is a person at work, or a race; then it is a manager that will not stop."""
WITHIN_S = 6 * 3600.0
"""GitOps tools look every few minutes, or every hour: each time the workers were gone for nothing,
and `retire.delay` began anew."""
BACK_OFF_S = 300.0
"""After this the planner may try once more: somebody may have taken `replicas` out of Git."""


@dataclass(slots=True)
class _Contest:
    awaiting_answer: bool = False
    """We scaled to zero, and nobody has answered yet."""
    answers: list[float] = field(default_factory=list)
    contested_by: str | None = None
    contested_at: float = 0.0


class Contests:
    """Contests by workload. Forgotten at a restart: then it takes three more times to see it."""

    def __init__(self) -> None:
        self._contests: dict[WorkloadKey, _Contest] = {}

    def scaled_to_zero(self, key: WorkloadKey) -> None:
        """We set the replicas to 0."""
        self._contests.setdefault(key, _Contest()).awaiting_answer = True

    def restored(self, key: WorkloadKey) -> None:
        """We set the replicas back ourselves: no one contests them."""
        self._contests.pop(key, None)

    def seen(self, workload: Workload, at: float) -> None:
        """The workload's state at monotonic second `at`."""
        contest = self._contests.get(workload.key)
        if contest is None:
            return
        if workload.replicas == 0:
            if contest.contested_by is not None:
                del self._contests[workload.key]  # the manager let go
            return
        if not contest.awaiting_answer or workload.replicas_manager == FIELD_MANAGER:
            return
        contest.awaiting_answer = False
        contest.answers = [*(t for t in contest.answers if at - t < WITHIN_S), at]
        if len(contest.answers) >= TIMES:
            contest.contested_by = workload.replicas_manager or "somebody"
            contest.contested_at = at

    def gone(self, key: WorkloadKey) -> None:
        """The workload was deleted."""
        self._contests.pop(key, None)

    def contested_by(self, key: WorkloadKey, at: float) -> str | None:
        """The manager's name while it would be a write loop to scale again."""
        contest = self._contests.get(key)
        if contest is None or contest.contested_by is None:
            return None
        if at - contest.contested_at >= BACK_OFF_S:
            contest.contested_by = None
            return None
        return contest.contested_by
