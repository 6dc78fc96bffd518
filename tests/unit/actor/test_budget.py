"""Writes per second."""

from __future__ import annotations

from bullmq_operator.actor.budget import WriteBudget


class HandClock:
    """A clock that we wind."""

    def __init__(self) -> None:
        self.at = 1000.0

    def monotonic(self) -> float:
        return self.at


def test_a_burst_goes_at_once_and_the_rest_in_turn() -> None:
    budget = WriteBudget(HandClock(), per_second=10, burst=3)
    waits = [round(budget.reserve(), 3) for _ in range(6)]
    assert waits == [0, 0, 0, 0.1, 0.2, 0.3]


def test_an_idle_time_saves_up_one_burst_and_no_more() -> None:
    clock = HandClock()
    budget = WriteBudget(clock, per_second=10, burst=3)
    for _ in range(6):
        budget.reserve()
    clock.at += 3600
    waits = [round(budget.reserve(), 3) for _ in range(5)]
    assert waits == [0, 0, 0, 0.1, 0.2]
