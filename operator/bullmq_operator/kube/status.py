"""`QueueVersion.status` to JSON and back.

The same facts make the same bytes: an absent field is one whose value is the model's default,
times are cut to the second, and lists are sorted. So "nothing changed" means "nothing to write".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bullmq_operator.domain.counts import QueueCounts
from bullmq_operator.domain.status import (
    Condition,
    ConditionStatus,
    ConditionType,
    Phase,
    RetirementStatus,
    Status,
    WorkerStatus,
)
from bullmq_operator.kube.spec import parse_ref
from bullmq_operator.kube.values import format_time, parse_time

Json = dict[str, Any]

_TEXTS = {
    "queueName": "queue_name",
    "redis": "redis",
    "jobsAdded": "jobs_added",
    "currentVersion": "current_version",
    "supersededBy": "superseded_by",
    "workersReady": "workers_ready",
}
"""Fields that JSON has as they are."""

_TIMES = {
    "queueFirstSeenAt": "queue_first_seen_at",
    "currentSince": "current_since",
    "drainStartedAt": "drain_started_at",
    "drainDeadline": "drain_deadline",
    "drainWarnedAt": "drain_warned_at",
    "emptySince": "empty_since",
    "drainedAt": "drained_at",
    "workersGoneAt": "workers_gone_at",
    "retiredAt": "retired_at",
}

_COUNTS = {
    "waiting": "waiting",
    "active": "active",
    "delayed": "delayed",
    "prioritized": "prioritized",
    "waitingChildren": "waiting_children",
    "paused": "paused",
    "schedulers": "schedulers",
    "completed": "completed",
    "failed": "failed",
}
"""Fields of `status.jobs`; its `unfinished` is their sum, finished ones aside."""

_RETIREMENT_COUNTS = {
    "obliteratedJobs": "obliterated_jobs",
    "sweptKeys": "swept_keys",
    "migratedJobs": "migrated_jobs",
    "lateJobs": "late_jobs",
}

_TYPE_ORDER = {type_: place for place, type_ in enumerate(ConditionType)}


def status_to_dict(status: Status) -> Json:
    """The whole status, without the fields that have nothing to say."""
    fields: Json = {
        "observedGeneration": status.observed_generation,
        "phase": status.phase.value,
        **{name: getattr(status, attribute) for name, attribute in _TEXTS.items()},
        **{name: _time(getattr(status, attribute)) for name, attribute in _TIMES.items()},
        "reopenings": status.reopenings or None,
        "jobs": None if status.jobs is None else _jobs(status.jobs),
        "workers": _workers(status.workers) or None,
        "retirement": _retirement(status.retirement) or None,
        "conditions": _conditions(status.conditions) or None,
    }
    return _present(fields)


def parse_status(status: Mapping[str, Any]) -> Status:
    """What is unknown to this program is left out. Raises ValueError for a time that is none."""
    default = Status()
    return Status(
        observed_generation=status.get("observedGeneration", default.observed_generation),
        phase=_phase(status),
        **{attribute: status.get(name) for name, attribute in _TEXTS.items()},
        **{attribute: _moment(status.get(name)) for name, attribute in _TIMES.items()},
        reopenings=status.get("reopenings", default.reopenings),
        jobs=_parse_jobs(status["jobs"]) if status.get("jobs") is not None else None,
        workers=tuple(sorted(map(_parse_worker, status.get("workers") or ()), key=_worker_order)),
        retirement=_parse_retirement(status.get("retirement") or {}),
        conditions=tuple(_parse_conditions(status.get("conditions") or ())),
    )


def status_patch(old: Status | Mapping[str, Any], new: Status) -> Json:
    """The smallest merge patch (RFC 7386) that turns `old` into `new`; {} if there is none to do.

    Fields of `old` that this program does not know stay as they are.
    """
    known = old if isinstance(old, Status) else parse_status(old)
    return _difference(status_to_dict(known), status_to_dict(new))


def _difference(old: Json, new: Json) -> Json:
    patch: Json = dict.fromkeys(old.keys() - new.keys())  # None deletes
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            changed = _difference(before, value)
            if changed:
                patch[name] = changed
        elif value != before:
            patch[name] = value
    return dict(sorted(patch.items()))


def _present(fields: Json) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


def _time(moment: Any) -> str | None:
    return None if moment is None else format_time(moment)


def _moment(text: str | None) -> Any:
    return None if text is None else parse_time(text)


def _phase(status: Mapping[str, Any]) -> Phase:
    # Decided anew at every pass, so a newer program's phase may be dropped.
    phase = status.get("phase")
    return Phase(phase) if phase in set(Phase) else Phase.PENDING


def _jobs(counts: QueueCounts) -> Json:
    by_state = {name: getattr(counts, attribute) for name, attribute in _COUNTS.items()}
    return {"unfinished": counts.unfinished, **by_state}


def _parse_jobs(jobs: Mapping[str, Any]) -> QueueCounts:
    return QueueCounts(**{attribute: jobs.get(name, 0) for name, attribute in _COUNTS.items()})


def _worker_order(worker: WorkerStatus) -> tuple[str, str, str]:
    return worker.ref.api_version, worker.ref.kind, worker.ref.name


def _workers(workers: tuple[WorkerStatus, ...]) -> list[Json]:
    return [
        _present(
            {
                "apiVersion": worker.ref.api_version,
                "kind": worker.ref.kind,
                "name": worker.ref.name,
                "replicas": worker.replicas,
                "restoreReplicas": worker.restore_replicas,
            }
        )
        for worker in sorted(workers, key=_worker_order)
    ]


def _parse_worker(worker: Mapping[str, Any]) -> WorkerStatus:
    return WorkerStatus(parse_ref(worker), worker.get("replicas"), worker.get("restoreReplicas"))


def _retirement(retirement: RetirementStatus) -> Json:
    counts = {name: getattr(retirement, a) or None for name, a in _RETIREMENT_COUNTS.items()}
    return _present(
        {
            "startedAt": _time(retirement.started_at),
            "stamp": retirement.stamp,
            "queueSettings": dict(sorted(retirement.queue_settings)) or None,
            **counts,
        }
    )


def _parse_retirement(retirement: Mapping[str, Any]) -> RetirementStatus:
    return RetirementStatus(
        started_at=_moment(retirement.get("startedAt")),
        stamp=retirement.get("stamp"),
        queue_settings=tuple(sorted((retirement.get("queueSettings") or {}).items())),
        **{a: retirement.get(name, 0) for name, a in _RETIREMENT_COUNTS.items()},
    )


def _conditions(conditions: tuple[Condition, ...]) -> list[Json]:
    return [
        _present(
            {
                "type": condition.type.value,
                "status": condition.status.value,
                "observedGeneration": condition.observed_generation,
                "lastTransitionTime": format_time(condition.last_transition),
                "reason": condition.reason,
                "message": condition.message,
            }
        )
        for condition in sorted(conditions, key=lambda one: _TYPE_ORDER[one.type])
    ]


def _parse_conditions(conditions: Any) -> Iterator[Condition]:
    known = [one for one in conditions if one["type"] in set(ConditionType)]
    for condition in sorted(known, key=lambda one: _TYPE_ORDER[ConditionType(one["type"])]):
        yield Condition(
            type=ConditionType(condition["type"]),
            status=ConditionStatus(condition["status"]),
            reason=condition["reason"],
            message=condition["message"],
            last_transition=parse_time(condition["lastTransitionTime"]),
            observed_generation=condition.get("observedGeneration"),
        )
