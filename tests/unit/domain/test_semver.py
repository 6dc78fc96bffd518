"""Which versions have an order of their own, and which need `spec.order`."""

from __future__ import annotations

import pytest

from bullmq_operator.domain.semver import parse

ASCENDING = ["1", "v2", "2.0.1", "2.1", "9", "10-rc.1", "10-rc.2", "10-rc.10", "10", "10.0.1-a"]


def test_versions_sort_by_semantic_precedence() -> None:
    descending = ASCENDING[::-1]

    assert sorted(descending, key=lambda v: parse(v) or ((), 0, ())) == ASCENDING


@pytest.mark.parametrize(
    "version",
    [
        pytest.param("3f9c2ab", id="a git SHA"),
        pytest.param("2024-10-1", id="a date, whose text would come before 2024-9-1"),
        pytest.param("1.2.3.4", id="four numbers"),
        pytest.param("1-a..b", id="an empty identifier"),
        pytest.param("", id="nothing"),
    ],
)
def test_what_is_no_semantic_version_has_no_order(version: str) -> None:
    assert parse(version) is None
