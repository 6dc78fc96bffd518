"""Any status that the operator may come to write."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

from bullmq_operator.domain.counts import QueueCounts
from bullmq_operator.domain.spec import WorkloadRef
from bullmq_operator.domain.status import (
    Condition,
    ConditionStatus,
    ConditionType,
    Phase,
    RetirementStatus,
    Status,
    WorkerStatus,
)

moments = st.datetimes(
    min_value=datetime(2000, 1, 1), max_value=datetime(2999, 1, 1), timezones=st.just(UTC)
)
seconds = moments.map(lambda moment: moment.replace(microsecond=0))
numbers = st.integers(0, 2**62)
texts = st.text(max_size=20)

counts = st.builds(QueueCounts, *[numbers] * 9)
refs = st.builds(WorkloadRef, texts, st.sampled_from(["Deployment", "StatefulSet"]))
workers = st.builds(WorkerStatus, refs, st.none() | numbers, st.none() | numbers)
conditions = st.builds(
    Condition,
    type=st.sampled_from(ConditionType),
    status=st.sampled_from(ConditionStatus),
    reason=texts,
    message=texts,
    last_transition=seconds,
    observed_generation=st.none() | numbers,
)
retirements = st.builds(
    RetirementStatus,
    started_at=st.none() | seconds,
    stamp=st.none() | texts,
    queue_settings=st.dictionaries(texts, texts, max_size=3).map(
        lambda settings: tuple(sorted(settings.items()))
    ),
    obliterated_jobs=numbers,
    swept_keys=numbers,
    late_jobs=numbers,
)


def _by_type(found: list[Condition]) -> tuple[Condition, ...]:
    return tuple(sorted(found, key=lambda one: list(ConditionType).index(one.type)))


def _by_ref(found: list[WorkerStatus]) -> tuple[WorkerStatus, ...]:
    return tuple(sorted(found, key=lambda one: (one.ref.api_version, one.ref.kind, one.ref.name)))


def statuses() -> st.SearchStrategy[Status]:
    """Statuses in the order that the codec gives lists, times to the second."""
    times = st.none() | seconds
    return st.builds(
        Status,
        observed_generation=st.integers(-1, 2**62),
        phase=st.sampled_from(Phase),
        queue_name=st.none() | texts,
        redis=st.none() | texts,
        queue_first_seen_at=times,
        jobs_added=st.none() | numbers,
        current_version=st.none() | texts,
        superseded_by=st.none() | texts,
        current_since=times,
        drain_started_at=times,
        drain_deadline=times,
        empty_since=times,
        drained_at=times,
        workers_gone_at=times,
        retired_at=times,
        reopenings=st.integers(0, 2**31 - 1),
        jobs=st.none() | counts,
        workers_ready=st.none() | texts,
        workers=st.lists(workers, max_size=3, unique_by=lambda one: one.ref).map(_by_ref),
        retirement=retirements,
        conditions=st.lists(conditions, max_size=4, unique_by=lambda one: one.type).map(_by_type),
    )
