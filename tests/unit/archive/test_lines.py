"""Whatever Redis held comes back from a line, to the byte; and a person can read the line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bullmq_operator.archive.lines import JSON_FIELDS, LineError, decoded, encoded
from bullmq_operator.domain.archive import (
    DeduplicationRecord,
    JobRecord,
    JobState,
    PendingRecord,
    Record,
    SchedulerRecord,
)

BYTES = st.binary().map(lambda content: content.decode("utf-8", "surrogateescape"))
"""As redis-py gives what is no UTF-8."""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).map(lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False))
TEXT = BYTES | JSON | st.text()
FIELDS = st.dictionaries(st.sampled_from(sorted(JSON_FIELDS)) | st.text(), TEXT, max_size=6)
SCORES = st.integers().map(str) | st.sampled_from(["inf", "-inf", "1.5", "7.35e+19", "nan"])

RECORDS: st.SearchStrategy[Record] = st.one_of(
    st.builds(
        JobRecord,
        id=TEXT,
        state=st.sampled_from(JobState),
        fields=FIELDS,
        score=st.none() | SCORES,
        logs=st.lists(TEXT, max_size=3).map(tuple),
        dependencies=st.lists(TEXT, max_size=3).map(tuple),
        processed=FIELDS,
        failed=FIELDS,
        unsuccessful=FIELDS,
    ),
    st.builds(SchedulerRecord, id=TEXT, next=SCORES, fields=FIELDS),
    st.builds(DeduplicationRecord, id=TEXT, owner=TEXT, expires=st.none() | st.integers()),
    st.builds(PendingRecord, id=TEXT, fields=FIELDS),
)


# No limits of time: a busy machine is no finding.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(RECORDS)
def test_a_line_gives_the_very_record_again(record: Record) -> None:
    line = encoded(record)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decoded(json.loads(line.decode("utf-8"))) == record


def line_of(**fields: str) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(encoded(JobRecord("1", JobState.FAILED, fields)))
    return line


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param('{"to":"Zoë"}', {"to": "Zoë"}, id="as Node writes it"),
        pytest.param('{"to":"Zo\\u00eb"}', {"to": "Zoë"}, id="as Python writes it"),
        pytest.param("[1,2.5,null,true]", [1, 2.5, None, True], id="numbers"),
        pytest.param("12345678901234567890", 12345678901234567890, id="a large number"),
    ],
)
def test_data_is_json_that_a_person_can_search(text: str, value: object) -> None:
    assert line_of(data=text)["job"]["data"] == value


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"a": 1}', id="with blanks"),
        pytest.param("1.50", id="with a zero that a number loses"),
        pytest.param('{"a":1,"a":2}', id="with a key twice"),
        pytest.param("NaN", id="what is no JSON"),
        pytest.param("[" * 10_000 + "]" * 10_000, id="too deep to parse"),
        pytest.param("", id="nothing"),
    ],
)
def test_data_that_would_not_come_back_is_kept_as_text(text: str) -> None:
    line = line_of(data=text)
    assert (line["job"]["data"], line["text"]) == (text, ["data"])


def test_times_and_counts_are_numbers() -> None:
    job = line_of(timestamp="1795441190979", atm="3", name="7")["job"]
    assert job == {"timestamp": 1795441190979, "atm": 3, "name": "7"}


@pytest.mark.parametrize(
    "line",
    [
        pytest.param({"kind": "unheard of"}, id="another kind"),
        pytest.param({"kind": "job", "id": "1", "state": "asleep", "job": {}}, id="another state"),
        pytest.param({"kind": "job", "id": "1", "state": "failed"}, id="no fields"),
        pytest.param({}, id="nothing"),
    ],
)
def test_a_line_of_another_format_is_refused(line: dict[str, Any]) -> None:
    with pytest.raises(LineError):
        decoded(line)
