"""What each version of a family is for: who is current, who is superseded."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bullmq_operator.domain.counts import Unknown
from bullmq_operator.domain.names import VersionKey
from bullmq_operator.domain.observation import Observation, VersionView
from bullmq_operator.domain.progress import Misconfigured, Progress, Role
from bullmq_operator.domain.reasons import CONFLICT, NOT_SUPPORTED_YET, ORDER_UNKNOWN
from bullmq_operator.domain.spec import State
from bullmq_operator.planner.activation import ActivationVerdict, activate
from bullmq_operator.planner.ordering import Ordering, order
from bullmq_operator.planner.support import unsupported


def assign(observation: Observation) -> tuple[Progress, ...]:
    """One Progress for every version that is not being deleted, in the order of their keys."""
    views = sorted(
        (v for v in observation.versions if not v.version.deleting), key=lambda v: v.version.key
    )
    if not views:
        return ()
    ordering = order([v.version for v in views])
    faults = {v.version.key: _misconfigured(v, ordering) for v in views}
    verdicts = {v.version.key: _verdict(v, faults, observation.now) for v in views}
    current = _current(views, ordering, verdicts)
    serving = next((v for v in views if v.version.key == current), None)
    return tuple(
        _progress(
            v,
            ordering,
            serving,
            verdicts[v.version.key],
            faults[v.version.key],
            observation.suspended,
        )
        for v in views
    )


def _verdict(
    view: VersionView, faults: dict[VersionKey, Misconfigured | None], now: datetime
) -> ActivationVerdict:
    verdict = activate(view, now)
    fault = faults[view.version.key]
    if view.version.status.current_since is not None or fault is None:
        return verdict
    # A version in doubt about its order may serve; a misdescribed one may not.
    return verdict if fault.reason == ORDER_UNKNOWN else ActivationVerdict(None, fault.message)


def _misconfigured(view: VersionView, ordering: Ordering) -> Misconfigured | None:
    version = view.version
    fields = unsupported(version.spec)
    if fields:
        return Misconfigured(
            NOT_SUPPORTED_YET,
            f"this release does not support {', '.join(fields)} yet: remove it to go on; until "
            "then nothing is changed",
        )
    if not view.came_first:
        others = ", ".join(str(key) for key in view.rivals)
        return Misconfigured(
            CONFLICT,
            f'queue "{version.queue.base.removesuffix(":")}" also belongs to {others}: let one '
            "QueueVersion name it, and delete the other (deletionPolicy Orphan touches nothing)",
        )
    if isinstance(view.reading, Unknown) and view.reading.reason.needs_edit:
        return Misconfigured(view.reading.reason, view.reading.message)
    if version.key in ordering.in_doubt:
        return Misconfigured(
            ORDER_UNKNOWN,
            f"{ordering.why}, so it is unknown which version is newer and none is superseded: set "
            f"spec.order on every version of family {version.spec.queue}",
        )
    return None


def _current(
    views: list[VersionView], ordering: Ordering, verdicts: dict[VersionKey, ActivationVerdict]
) -> VersionKey | None:
    if ordering.ranks is None:
        return None
    serving = [
        v.version.key
        for v in views
        if v.version.spec.state in (State.AUTO, State.PINNED)
        and verdicts[v.version.key].since is not None
    ]
    return max(serving, key=ordering.ranks.__getitem__, default=None)


def _progress(
    view: VersionView,
    ordering: Ordering,
    current: VersionView | None,
    verdict: ActivationVerdict,
    fault: Misconfigured | None,
    suspended: bool,
) -> Progress:
    version = view.version
    old = version.status
    key, serves = (current.version.key, current.version.spec.version) if current else (None, None)
    role, superseded = _role(view, ordering, key, verdict)
    known = ordering.ranks is not None
    status = replace(
        old,
        current_since=verdict.since,
        current_version=serves if known else old.current_version,
        superseded_by=(serves if known else old.superseded_by) if superseded else None,
        queue_name=version.queue.name,
        observed_generation=version.generation,
    )
    return Progress(
        view=view,
        role=role,
        status=status,
        successor=current if key != version.key else None,
        why=verdict.message,
        misconfigured=fault,
        frozen=_frozen(view, fault, suspended),
        look_again=() if verdict.look_again_at is None else (verdict.look_again_at,),
    )


def _frozen(view: VersionView, fault: Misconfigured | None, suspended: bool) -> bool:
    return (
        suspended
        or view.version.spec.suspend
        or (fault is not None and fault.reason in (CONFLICT, NOT_SUPPORTED_YET))
    )


def _role(
    view: VersionView,
    ordering: Ordering,
    current: VersionKey | None,
    verdict: ActivationVerdict,
) -> tuple[Role, bool]:
    """The role, and whether it comes from a newer version."""
    version = view.version
    serving = Role.CURRENT if verdict.since is not None else Role.PENDING
    match version.spec.state:
        case State.STOPPED:
            return Role.STOPPED, False
        case State.RETIRED:
            return Role.DRAIN, False
        case State.PINNED:
            return serving, False
    if ordering.ranks is None:
        # A drain under way is not undone by a sibling that can't be placed.
        under_way = version.status.superseded_by is not None
        return (Role.DRAIN, True) if under_way else (serving, False)
    if current is not None and ordering.ranks[current] > ordering.ranks[version.key]:
        return Role.DRAIN, True
    return serving, False
