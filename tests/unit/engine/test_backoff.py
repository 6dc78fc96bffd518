"""Delays after failures; the dice are the test's."""

from __future__ import annotations

from bullmq_operator.engine.backoff import Backoff


def test_delays_double_up_to_the_longest() -> None:
    backoff = Backoff[str](lambda: 1.0, first=1.0, longest=5.0)
    assert [backoff.failed("a") for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_jitter_takes_away_up_to_half() -> None:
    assert Backoff[str](lambda: 0.0, first=1.0, longest=5.0).failed("a") == 0.5


def test_each_key_counts_for_itself_and_success_forgets() -> None:
    backoff = Backoff[str](lambda: 1.0, first=1.0, longest=60.0)
    backoff.failed("a")
    backoff.failed("a")
    assert backoff.failed("b") == 1.0
    backoff.forget("a")
    assert backoff.failed("a") == 1.0


def test_a_key_that_fails_for_ever_keeps_the_longest_delay() -> None:
    backoff = Backoff[str](lambda: 1.0, first=0.5, longest=60.0)
    assert {backoff.failed("a") for _ in range(5000)} >= {60.0}
    assert backoff.failed("a") == 60.0
