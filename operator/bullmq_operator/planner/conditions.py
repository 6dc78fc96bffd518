"""Phase and conditions: what happens, why, and what next, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from bullmq_operator.domain.counts import Unknown
from bullmq_operator.domain.plan import (
    Action,
    MigrateJobs,
    RestoreReplicas,
    RestoreSettings,
    RetireQueue,
    ScaleToZero,
    SweepRecreated,
)
from bullmq_operator.domain.progress import Progress, Role
from bullmq_operator.domain.reasons import CONFLICT, EVICTION_ALLOWED
from bullmq_operator.domain.spec import Obliterate
from bullmq_operator.domain.status import (
    Condition,
    ConditionStatus,
    ConditionType,
    Phase,
    Status,
)
from bullmq_operator.domain.wording import clock, counted, span
from bullmq_operator.planner.draining import quiet_period
from bullmq_operator.planner.strangers import strangers

Row = tuple[ConditionType, ConditionStatus, str, str]
TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
NOT_ASKED = "this version is not asked to drain"


def describe(progress: Progress, now: datetime) -> Status:
    """The status to be written: the facts, with phase and conditions."""
    phase = _phase(progress)
    generation = progress.view.version.generation
    old = progress.view.version.status
    looked_at = old.observed_generation >= 0  # what the schema says until then is of 1970
    conditions = []
    for type_, status, reason, message in _rows(progress, phase, now):
        before = old.condition(type_) if looked_at else None
        since = before.last_transition if before and before.status is status else now
        conditions.append(Condition(type_, status, reason, message, since, generation))
    ordered = tuple(sorted(conditions, key=lambda c: c.type))
    return replace(progress.status, phase=phase, conditions=ordered)


def _phase(progress: Progress) -> Phase:
    status = progress.status
    match progress.role:
        case Role.PENDING:
            return Phase.PENDING
        case Role.CURRENT:
            return Phase.CURRENT
        case Role.STOPPED:
            return Phase.STOPPED
    if progress.held is not None:
        return Phase.HELD
    if progress.retired or (progress.unknown and status.retired_at is not None):
        return Phase.RETIRED
    if status.drained_at is not None:
        return Phase.RETIRING
    return Phase.DRAINING


def _rows(progress: Progress, phase: Phase, now: datetime) -> Iterator[Row]:
    yield _ready(progress, phase)
    yield _backend(progress)
    yield _drained(progress, phase)
    yield _held(progress, phase)
    yield _scaled_down(progress, phase, now)
    yield _obliterated(progress, phase)
    yield _retired(progress, phase)
    if phase is Phase.PENDING:
        yield ConditionType.RECONCILING, TRUE, "Activating", progress.why
    fault = progress.misconfigured
    if fault is not None:
        yield ConditionType.STALLED, TRUE, fault.reason, f"Configuration: {fault.message}"
        if fault.reason == CONFLICT:
            yield ConditionType.CONFLICT, TRUE, fault.reason, fault.message
    late = progress.status.retirement.late_jobs
    if late and not progress.retired:
        added = counted(late, "job was added", "jobs were added")
        message = f"{added} after the queue was retired"
        yield ConditionType.LATE_JOBS, TRUE, "JobsAddedLate", message


def _ready(progress: Progress, phase: Phase) -> Row:
    """May the deploy go on?"""
    fault, reading = progress.misconfigured, progress.view.reading
    if fault is not None:
        return ConditionType.READY, FALSE, fault.reason, f"Configuration: {fault.message}"
    if isinstance(reading, Unknown):
        return ConditionType.READY, UNKNOWN, reading.reason, reading.message
    if phase is Phase.PENDING:
        return ConditionType.READY, FALSE, "Activating", f"Waiting: {progress.why}"
    return ConditionType.READY, TRUE, str(phase), _summary(progress, phase)


def _summary(progress: Progress, phase: Phase) -> str:
    queue = progress.view.version.queue.name
    if progress.frozen:
        return f"suspended: {phase} is what is seen, and nothing is changed"
    if phase is Phase.CURRENT:
        return f'queue "{queue}" serves'
    if phase is Phase.STOPPED:
        return "spec.state is Stopped: workers go to zero, jobs stay in Redis"
    if phase is Phase.HELD and progress.held is not None:
        return f"needs a person: {progress.held.message}"
    if phase is Phase.RETIRED:
        return "retired: all that the policy asks is done"
    newer = progress.status.superseded_by
    cause = f"version {newer} is current" if newer else "spec.state is Retired"
    what = "is being retired" if phase is Phase.RETIRING else "is being finished by its workers"
    return f'{cause}; queue "{queue}" {what}'


def _backend(progress: Progress) -> Row:
    reading = progress.view.reading
    if isinstance(reading, Unknown):
        unread = reading.reason.value == "NotReadYet"
        status = UNKNOWN if unread else FALSE
        return ConditionType.BACKEND_REACHABLE, status, reading.reason, reading.message
    address = progress.view.redis or "Redis"
    policy = progress.view.maxmemory_policy
    if policy not in (None, "noeviction"):
        message = (
            f"counts are read from {address}, whose maxmemory-policy is {policy}: when it is full "
            "it drops jobs and tells nobody; set it to noeviction, as BullMQ demands"
        )
        return ConditionType.BACKEND_REACHABLE, TRUE, EVICTION_ALLOWED, message
    return ConditionType.BACKEND_REACHABLE, TRUE, "Connected", f"counts are read from {address}"


def _drained(progress: Progress, phase: Phase) -> Row:
    kind = ConditionType.DRAINED
    if progress.role is not Role.DRAIN:
        if isinstance(progress.view.reading, Unknown):
            return kind, UNKNOWN, progress.view.reading.reason, progress.view.reading.message
        return kind, FALSE, "NotDraining", NOT_ASKED
    if progress.unknown is not None and phase is not Phase.RETIRED:
        return kind, UNKNOWN, *progress.unknown
    if progress.blockers:
        message = " · ".join(b.message for b in progress.blockers)
        due = f"; {progress.remedy_due}" if progress.remedy_due else ""
        return kind, FALSE, "UnfinishedJobs", message + due + _failed(progress, MigrateJobs)
    if progress.status.drained_at is not None:
        return kind, TRUE, "Empty", f"proven empty at {clock(progress.status.drained_at)}"
    quiet = span(quiet_period(progress))
    message = f"nothing is unfinished; drained once nothing has happened for {quiet}"
    if progress.status.empty_since is not None:
        message += f" (idle since {clock(progress.status.empty_since)})"
    return kind, FALSE, "QuietPeriod", message


def _held(progress: Progress, phase: Phase) -> Row:
    if progress.held is not None:
        return ConditionType.HELD, TRUE, progress.held.reason, progress.held.message
    if progress.unknown is not None and phase is not Phase.RETIRED:
        return ConditionType.HELD, UNKNOWN, *progress.unknown
    return ConditionType.HELD, FALSE, "NothingHeld", "no person is needed"


def _scaled_down(progress: Progress, phase: Phase, now: datetime) -> Row:
    kind = ConditionType.WORKERS_SCALED_DOWN
    no_pods = f"no Pod of its workloads is left{strangers(progress, now)}"
    if phase is Phase.RETIRED:
        return kind, TRUE, "NoPods", no_pods
    if progress.frozen or progress.leaves_workers:
        if progress.status.workers_gone_at is not None:
            return kind, TRUE, "NoPods", "no Pod of its workloads was left when last looked at"
        why = "Ready" if progress.frozen else "Held" if progress.held else "Drained"
        message = f"its workers are left as they are; the condition {why} says why"
        return kind, FALSE, "LeftAlone", message
    if progress.settings_due:
        names = ", ".join(progress.settings_due)
        message = f"its workers come back once the queue's own settings ({names}) are back"
        return kind, FALSE, "SettingsFirst", message + _failed(progress, RestoreSettings)
    if progress.keeps_workers:
        if any(isinstance(action, RestoreReplicas) for action in progress.actions):
            message = "its workers are being brought back"
            return kind, FALSE, "Restoring", message + _failed(progress, RestoreReplicas)
        drains = progress.role is Role.DRAIN
        message = "its workers go on until the queue is proven empty" if drains else NOT_ASKED
        return kind, FALSE, "WorkersNeeded", message
    if progress.workers_gone:
        return kind, TRUE, "NoPods", no_pods
    message = progress.why or "workloads go to zero"
    return kind, FALSE, "ScalingDown", message + _failed(progress, ScaleToZero)


def _failed(progress: Progress, *kinds: type[Action]) -> str:
    """Why what is tried again did not work the last time."""
    failure = progress.view.failure
    if failure is None or not any(isinstance(action, kinds) for action in progress.actions):
        return ""
    return f"; the last try failed and is repeated: {failure}"


def _obliterated(progress: Progress, phase: Phase) -> Row:
    kind = ConditionType.OBLITERATED
    never = progress.view.version.spec.retire.obliterate is Obliterate.NEVER
    if never and progress.status.retirement.started_at is None:
        return kind, FALSE, "NotAsked", "retire.obliterate is Never: the queue stays in Redis"
    if phase is Phase.RETIRED:
        jobs = counted(progress.status.retirement.obliterated_jobs, "finished job")
        message = f"no key of the queue is left ({jobs} deleted)"
        return kind, TRUE, "NothingLeft", message
    if progress.workers_gone and progress.proven_empty and progress.held is not None:
        return kind, FALSE, "Held", progress.held.message
    if progress.workers_gone and progress.proven_empty and progress.why:
        failed = _failed(progress, RetireQueue, SweepRecreated)
        return kind, FALSE, "Waiting", progress.why + failed
    message = "its keys go once it is drained, its workers are gone and retire.delay is over"
    return kind, FALSE, "NotYet", message if progress.role is Role.DRAIN else NOT_ASKED


def _retired(progress: Progress, phase: Phase) -> Row:
    if phase is Phase.RETIRED:
        at = progress.status.retired_at
        since = f"since {clock(at)}" if at is not None else "all that the policy asks is done"
        message = f"{since}; late jobs are watched for as long as this object exists"
        return ConditionType.RETIRED, TRUE, "Retired", message
    if progress.role is not Role.DRAIN:
        return ConditionType.RETIRED, FALSE, "NotDraining", "this version is not asked to retire"
    waits = progress.held.message if progress.held else ""
    return ConditionType.RETIRED, FALSE, str(phase), waits or "retirement is under way"
