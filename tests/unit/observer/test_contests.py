"""Who sets replicas back, over time; seconds are ours."""

from __future__ import annotations

from bullmq_operator.domain.names import WorkloadKey
from bullmq_operator.domain.observation import Workload
from bullmq_operator.observer.contests import BACK_OFF_S, WITHIN_S, Contests

KEY = WorkloadKey("shop", "Deployment", "orders-v1")


def workload(replicas: int, manager: str | None = "argocd-controller") -> Workload:
    return Workload(KEY, "uid", "1", replicas, replicas_manager=manager)


def fight(contests: Contests, *at: float, manager: str | None = "argocd-controller") -> None:
    """We scale to zero, and find it back up at each of these seconds."""
    for second in at:
        contests.scaled_to_zero(KEY)
        contests.seen(workload(0, "bullmq-operator"), second)
        contests.seen(workload(3, manager), second)


def test_twice_is_no_contest_yet() -> None:
    contests = Contests()
    fight(contests, 0, 10)
    assert contests.contested_by(KEY, 10) is None


def test_three_times_name_the_manager() -> None:
    contests = Contests()
    fight(contests, 0, 10, 20)
    assert contests.contested_by(KEY, 20) == "argocd-controller"


def test_a_manager_without_a_name_is_somebody() -> None:
    contests = Contests()
    fight(contests, 0, 10, 20, manager=None)
    assert contests.contested_by(KEY, 20) == "somebody"


def test_three_times_over_a_long_time_are_no_contest() -> None:
    contests = Contests()
    fight(contests, 0, WITHIN_S, 2 * WITHIN_S)
    assert contests.contested_by(KEY, 2 * WITHIN_S) is None


def test_one_answer_seen_many_times_counts_once() -> None:
    contests = Contests()
    fight(contests, 0)
    for second in range(1, 10):
        contests.seen(workload(3), second)
    assert contests.contested_by(KEY, 10) is None


def test_our_own_restoring_is_no_contest() -> None:
    contests = Contests()
    fight(contests, 0, 10, 20, manager="bullmq-operator")
    assert contests.contested_by(KEY, 20) is None


def test_it_ends_when_the_manager_lets_go() -> None:
    contests = Contests()
    fight(contests, 0, 10, 20)
    contests.seen(workload(0), 30)
    assert contests.contested_by(KEY, 30) is None


def test_after_the_back_off_it_is_tried_once_more_and_contested_again() -> None:
    contests = Contests()
    fight(contests, 0, 10, 20)
    later = 20 + BACK_OFF_S
    assert contests.contested_by(KEY, later - 1) == "argocd-controller"
    assert contests.contested_by(KEY, later) is None
    fight(contests, later + 1)
    assert contests.contested_by(KEY, later + 1) == "argocd-controller"


def test_a_restore_of_ours_forgets_it() -> None:
    contests = Contests()
    fight(contests, 0, 10, 20)
    contests.restored(KEY)
    assert contests.contested_by(KEY, 20) is None


def test_nobody_contests_what_we_never_scaled() -> None:
    contests = Contests()
    contests.seen(workload(3), 0)
    assert contests.contested_by(KEY, 0) is None
