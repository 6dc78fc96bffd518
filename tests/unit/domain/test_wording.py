"""Numbers and moments as a person reads them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bullmq_operator.domain.wording import clock, counted, span
from tests.support.builders import NOW


@pytest.mark.parametrize(
    ("count", "forms", "expected"),
    [
        pytest.param(0, ("job",), "0 jobs", id="none is many"),
        pytest.param(1, ("job",), "1 job", id="one"),
        pytest.param(2, ("job",), "2 jobs", id="more"),
        pytest.param(1, ("key is", "keys are"), "1 key is", id="one, with its verb"),
        pytest.param(3, ("key is", "keys are"), "3 keys are", id="more, with theirs"),
    ],
)
def test_one_thing_is_not_counted_as_many(
    count: int, forms: tuple[str, ...], expected: str
) -> None:
    assert counted(count, *forms) == expected


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        pytest.param(timedelta(), "0s", id="nothing"),
        pytest.param(timedelta(seconds=1.5), "1.5s", id="parts of a second"),
        pytest.param(timedelta(seconds=90), "1m30s", id="a minute and a half"),
        pytest.param(timedelta(days=1), "24h", id="a day, as the fields have it"),
    ],
)
def test_a_duration_reads_as_it_is_written_in_a_spec(time: timedelta, expected: str) -> None:
    assert span(time) == expected


def test_a_moment_is_told_in_utc() -> None:
    assert clock(NOW) == "2026-03-02T12:00:00Z"
