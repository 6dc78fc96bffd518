"""The whole decision logic, pure: `plan(observation)`.

The stages, in their order; each takes what the one before it made:

1. `roles`: who is current, who is superseded (`ordering`, `activation`, `support`);
2. `recognition`: whether the queue was ever really there, and whether it vanished;
3. `rollback`: a version that serves again forgets its drain;
4. `draining`: proven empty, or every blocker by name (`blockers`), and what a passed deadline
   does about them (`deadline`, `migration`);
5. `settings`: a queue that is used again has its own back first;
6. `workers`: workloads down to zero and back, one decision for all that share one;
7. `retirement`: delay, inventory, guarded deletion, watch;
8. `retention`: finished jobs of a queue that lives;
9. `conditions` and `transitions`: what is said about it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bullmq_operator.domain.observation import Observation
from bullmq_operator.domain.plan import Action, MigrateJobs, Plan, RestoreReplicas, ScaleToZero
from bullmq_operator.domain.progress import Progress
from bullmq_operator.planner.conditions import describe
from bullmq_operator.planner.draining import drain
from bullmq_operator.planner.recognition import recognise
from bullmq_operator.planner.retention import prune
from bullmq_operator.planner.retirement import retire
from bullmq_operator.planner.roles import assign
from bullmq_operator.planner.rollback import forget_drain
from bullmq_operator.planner.settings import give_back
from bullmq_operator.planner.transitions import events
from bullmq_operator.planner.workers import settle


def plan(observation: Observation) -> Plan:
    """Decide for one family. The same observation gives the same plan."""
    now = observation.now
    family = tuple(
        give_back(drain(forget_drain(recognise(progress, now)), now))
        for progress in assign(observation)
    )
    family = tuple(_frozen(prune(retire(progress, now), now)) for progress in settle(family, now))
    statuses = [(p, describe(p, now)) for p in family]
    return Plan(
        statuses=tuple((p.view.version.key, status) for p, status in statuses),
        actions=_actions(family),
        events=tuple(event for p, status in statuses for event in events(p, status)),
        inventories=tuple(p.view.version.key for p in family if p.wants_inventory),
        look_again_at=_soonest(family, now),
    )


def _frozen(progress: Progress) -> Progress:
    return replace(progress, actions=(), wants_inventory=False) if progress.frozen else progress


def _actions(family: tuple[Progress, ...]) -> tuple[Action, ...]:
    """In order, and a workload that several versions let go of, or need, is scaled once. Moving
    jobs may take long or fail again and again, and workers must not wait for it: it comes last."""
    found: list[Action] = []
    scaled = set()
    for action in (action for progress in family for action in progress.actions):
        if isinstance(action, ScaleToZero | RestoreReplicas):
            if action.workload.key in scaled:
                continue
            scaled.add(action.workload.key)
        found.append(action)
    return tuple(sorted(found, key=lambda action: isinstance(action, MigrateJobs)))


def _soonest(family: tuple[Progress, ...], now: datetime) -> datetime | None:
    return min((due for p in family for due in p.look_again if due > now), default=None)
