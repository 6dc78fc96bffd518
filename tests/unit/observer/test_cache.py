"""The cache's answers and whom its changes touch; a naive model of it is the judge."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullmq_operator.domain.names import Backend, RedisSource, VersionKey, WorkloadKey
from bullmq_operator.domain.observation import QueueVersion, Workload
from bullmq_operator.domain.spec import Spec, WorkloadRef
from bullmq_operator.domain.status import Phase, Status
from bullmq_operator.observer.cache import NOTHING, Cache

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WORKER = WorkloadKey("shop", "Deployment", "worker")


def a_version(
    name: str = "orders-v1",
    *,
    namespace: str = "shop",
    url: str | None = None,
    rv: str = "1",
    uid: str | None = None,
    phase: Phase = Phase.CURRENT,
    seen_at: datetime | None = None,
    deleting: bool = False,
    workers: tuple[str, ...] = (),
    queue_name: str | None = None,
    drained_at: datetime | None = None,
) -> QueueVersion:
    queue, _, version = name.partition("-")
    spec = Spec(
        queue=queue,
        version=version or "v1",
        queue_name=queue_name,
        redis=RedisSource(url=url),
        workers=tuple(WorkloadRef(worker) for worker in workers),
    )
    status = Status(phase=phase, queue_first_seen_at=seen_at, drained_at=drained_at)
    key = VersionKey(namespace, name)
    return QueueVersion(key, uid or f"uid-{key}", 1, rv, spec, status, deleting)


def a_workload(rv: str = "1", replicas: int = 3, uid: str = "uid") -> Workload:
    return Workload(WORKER, uid, rv, replicas)


def a_cache(*versions: QueueVersion) -> Cache:
    cache = Cache()
    for version in versions:
        cache.upsert_version(version)
    return cache


def test_an_unchanged_version_touches_nobody() -> None:
    cache = a_cache(a_version())
    assert cache.upsert_version(a_version()) == NOTHING


def test_an_older_state_of_the_same_object_is_ignored() -> None:
    newer = a_version(rv="10", phase=Phase.DRAINING)
    cache = a_cache(newer)
    assert cache.upsert_version(a_version(rv="9")) == NOTHING
    assert cache.version(newer.key) == newer


def test_an_object_made_anew_replaces_the_old_one_whatever_its_version() -> None:
    cache = a_cache(a_version(rv="10"))
    again = a_version(rv="9", uid="another")
    cache.upsert_version(again)
    assert cache.version(again.key) == again


def test_a_version_that_changes_its_family_touches_both() -> None:
    before = a_version(rv="1")
    after = replace(before, resource_version="2", spec=replace(before.spec, queue="bills"))
    cache = a_cache(before)
    assert cache.upsert_version(after) == {before.family, after.family}
    assert cache.versions_of(before.family) == ()


def test_a_removed_version_leaves_no_trace() -> None:
    version = a_version(workers=("worker",))
    cache = a_cache(version)
    assert cache.remove_version(version.key) == {version.family}
    assert (cache.families(), cache.backends(), cache.is_used(WORKER)) == ([], [], False)


def test_a_workload_touches_every_family_that_names_it() -> None:
    orders, bills = (a_version(f"{q}-v1", workers=("worker",)) for q in ("orders", "bills"))
    cache = a_cache(orders, bills, a_version("mails-v1"))
    assert cache.upsert_workload(a_workload()) == {orders.family, bills.family}
    assert cache.remove_workload(WORKER) == {orders.family, bills.family}


def test_a_workload_of_which_only_the_resource_version_moved_touches_nobody() -> None:
    cache = a_cache(a_version(workers=("worker",)))
    cache.upsert_workload(a_workload(rv="1"))
    assert cache.upsert_workload(a_workload(rv="2")) == NOTHING
    assert cache.workload(WORKER) == a_workload(rv="2")


def test_the_answer_to_our_scaling_is_not_undone_by_a_late_watch_event() -> None:
    cache = a_cache(a_version(workers=("worker",)))
    cache.upsert_workload(a_workload(rv="8", replicas=0))
    cache.upsert_workload(a_workload(rv="7", replicas=3))
    assert cache.workload(WORKER) == a_workload(rv="8", replicas=0)


@pytest.mark.parametrize(
    ("other", "needs"),
    [
        pytest.param({"phase": Phase.CURRENT}, True, id="a current version needs its workers"),
        pytest.param({"phase": Phase.DRAINING}, True, id="a draining one too"),
        pytest.param({"phase": Phase.PENDING}, True, id="a pending one too"),
        pytest.param({"phase": Phase.HELD}, True, id="a held one too"),
        pytest.param(
            {"phase": Phase.HELD, "drained_at": NOON}, False, id="one held after its proof let go"
        ),
        pytest.param({"phase": Phase.RETIRING}, False, id="a retiring one let go"),
        pytest.param({"phase": Phase.RETIRED}, False, id="a retired one let go"),
        pytest.param({"phase": Phase.STOPPED}, False, id="a stopped one let go"),
        pytest.param({"deleting": True}, False, id="one that is being deleted let go"),
    ],
)
def test_who_still_needs_a_shared_workload(other: dict[str, object], needs: bool) -> None:
    mine = a_version("orders-v1", workers=("worker",))
    theirs = a_version("bills-v1", workers=("worker",), **other)  # type: ignore[arg-type]
    cache = a_cache(mine, theirs)
    assert cache.needed_by(WORKER, mine.family) == ((theirs.key,) if needs else ())


def test_siblings_are_not_among_those_outside_the_family_who_need_a_workload() -> None:
    mine, sibling = (a_version(f"orders-v{n}", workers=("worker",)) for n in (1, 2))
    assert a_cache(mine, sibling).needed_by(WORKER, mine.family) == ()


def test_only_the_first_seen_of_two_on_one_queue_is_not_in_conflict() -> None:
    first = a_version("orders-v1", seen_at=NOON)
    second = a_version("orders-x", queue_name="orders/v1", seen_at=NOON + timedelta(seconds=1))
    cache = a_cache(second, first)
    assert (cache.came_first(first), cache.came_first(second)) == (True, False)
    assert (cache.claimants(first), cache.claimants(second)) == ((second.key,), (first.key,))


def test_one_never_seen_comes_after_one_that_was() -> None:
    never = a_version("orders-a", queue_name="orders/v1")
    seen = a_version("orders-b", queue_name="orders/v1", seen_at=NOON)
    cache = a_cache(never, seen)
    assert (cache.came_first(never), cache.came_first(seen)) == (False, True)


def test_of_two_never_seen_the_first_by_name_stands() -> None:
    a, b = (a_version(f"orders-{n}", queue_name="orders/v1") for n in "ab")
    cache = a_cache(b, a)
    assert (cache.came_first(a), cache.came_first(b)) == (True, False)


def test_two_names_of_one_server_are_one_place_once_both_are_known() -> None:
    mine = a_version(url="redis://redis:6379", seen_at=NOON)
    theirs = a_version(url="redis://10.0.0.1:6379", namespace="pay")
    cache = a_cache(mine, theirs)
    assert cache.claimants(mine) == ()
    cache.set_identities(mine.queue.backend, frozenset({"redis:6379/0", "run abc/0"}))
    touched = cache.set_identities(
        theirs.queue.backend, frozenset({"10.0.0.1:6379/0", "run abc/0"})
    )
    assert touched == {mine.family, theirs.family}
    assert (cache.claimants(theirs), cache.came_first(theirs)) == ((mine.key,), False)


def test_another_database_of_the_same_server_is_another_place() -> None:
    mine, theirs = (a_version(url=f"redis://redis/{n}", namespace=f"n{n}") for n in (0, 1))
    cache = a_cache(mine, theirs)
    for n, version in enumerate((mine, theirs)):
        cache.set_identities(version.queue.backend, frozenset({f"redis:6379/{n}", f"run abc/{n}"}))
    assert cache.claimants(mine) == ()


def test_a_server_that_was_replaced_is_no_longer_shared() -> None:
    mine = a_version(url="redis://a")
    theirs = a_version(url="redis://b", namespace="pay")
    cache = a_cache(mine, theirs)
    for version in (mine, theirs):
        cache.set_identities(version.queue.backend, frozenset({"run abc/0"}))
    touched = cache.set_identities(mine.queue.backend, frozenset({"run xyz/0"}))
    assert touched == {mine.family, theirs.family}
    assert cache.claimants(theirs) == ()


def test_suspending_a_namespace_touches_its_families_once() -> None:
    inside, outside = a_version(), a_version(namespace="pay")
    cache = a_cache(inside, outside)
    assert cache.set_suspended("shop", True) == {inside.family}
    assert cache.set_suspended("shop", True) == NOTHING
    assert cache.set_suspended("shop", False) == {inside.family}


def test_an_autoscaler_touches_the_families_of_its_workload_when_it_comes_and_goes() -> None:
    version = a_version(workers=("worker",))
    cache = a_cache(version, a_version("bills-v1"))
    assert cache.set_resting_at_zero([WORKER]) == {version.family}
    assert cache.may_rest_at_zero(WORKER)
    assert cache.set_resting_at_zero([]) == {version.family}


NAMES = st.sampled_from(["orders-v1", "orders-v2", "bills-v1", "mails-v1"])
URLS = st.sampled_from(["redis://a", "redis://b", None])
SERVERS = st.sets(st.sampled_from(["run 1/0", "run 2/0"]), max_size=2).map(frozenset)
VERSIONS = st.builds(
    a_version,
    NAMES,
    namespace=st.sampled_from(["shop", "pay"]),
    url=URLS,
    rv=st.just("next"),  # no number: always taken as new
    phase=st.sampled_from(Phase),
    workers=st.sets(st.sampled_from(["worker", "helper"])).map(lambda s: tuple(sorted(s))),
    queue_name=st.sampled_from([None, "shared"]),
)
KEYS = st.builds(VersionKey, st.sampled_from(["shop", "pay"]), NAMES)
BACKENDS = st.builds(Backend, st.sampled_from(["shop", "pay"]), st.builds(RedisSource, url=URLS))
STEPS = st.lists(st.one_of(VERSIONS, KEYS, st.tuples(BACKENDS, SERVERS)), max_size=25)

Step = QueueVersion | VersionKey | tuple[Backend, frozenset[str]]


@given(STEPS)
def test_after_any_history_the_indexes_say_what_a_search_through_all_versions_says(
    steps: list[Step],
) -> None:
    cache = Cache()
    model: dict[VersionKey, QueueVersion] = {}
    for step in steps:
        for backend in cache.backends():
            cache.versions_on(backend)  # the answer is kept, and must not outlive the next step
        match step:
            case QueueVersion():
                cache.upsert_version(step)
                model[step.key] = step
            case VersionKey():
                cache.remove_version(step)
                model.pop(step, None)
            case (backend, servers):
                cache.set_identities(backend, servers)
    everyone = sorted(model.values(), key=lambda v: v.key)
    for version in everyone:
        family = tuple(v for v in everyone if v.family == version.family)
        assert cache.versions_of(version.family) == family
        same = {v.key for v in everyone if v.queue == version.queue and v.key != version.key}
        assert same <= set(cache.claimants(version))
        for other in cache.claimants(version):
            assert version.key in cache.claimants(model[other])
    assert set(cache.families()) == {v.family for v in everyone}
    assert set(cache.backends()) == {v.queue.backend for v in everyone}
    for backend in cache.backends():
        there = {v.key: (v, v.queue) for v in everyone if v.queue.backend == backend}
        assert {v.key: (v, queue) for v, queue in cache.versions_on(backend)} == there
    assert cache.is_used(WORKER) == any(
        version.workload(ref) == WORKER for version in everyone for ref in version.spec.workers
    )


@given(STEPS)
def test_of_all_who_claim_one_queue_exactly_one_is_not_in_conflict(steps: list[Step]) -> None:
    cache = a_cache(*(step for step in steps if isinstance(step, QueueVersion)))
    for version in cache.versions():
        claim = [version, *filter(None, map(cache.version, cache.claimants(version)))]
        assert sum(cache.came_first(one) for one in claim) == 1
