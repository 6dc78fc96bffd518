"""Only the whole file is an archive: not one byte less, more, or other."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bullmq_operator.archive.stream import NotWholeError, Packer, Seal, Unpacker
from bullmq_operator.domain.archive import JobRecord, JobState

# No limits of time: a busy machine is no finding.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def packed(count: int = 5) -> tuple[bytes, Seal]:
    packer = Packer()
    content = packer.header({"stamp": "1-0"})
    for number in range(count):
        content += packer.records([JobRecord(str(number), JobState.FAILED, {"data": "[1]"})])
    trailer, seal = packer.trailer()
    return content + trailer, seal


def unpacked(content: bytes, bite: int = 7) -> tuple[list[dict[str, Any]], Seal]:
    unpacker = Unpacker()
    lines = []
    for start in range(0, len(content), bite):
        lines += unpacker.lines(content[start : start + bite])
    return lines, unpacker.end()


@patient
@given(bite=st.integers(1, 300), count=st.integers(0, 20))
def test_it_comes_back_in_bites_of_any_size(bite: int, count: int) -> None:
    content, seal = packed(count)
    lines, found = unpacked(content, bite)
    assert [line["kind"] for line in lines] == ["archive"] + ["job"] * count
    assert found == seal
    assert (seal.jobs, seal.lines) == (count, count + 1)


def test_the_same_records_give_the_same_bytes() -> None:
    assert packed() == packed()


@patient
@given(st.data())
def test_no_part_of_it_is_whole(data: st.DataObject) -> None:
    content, _ = packed()
    part = content[: data.draw(st.integers(0, len(content) - 1))]
    with pytest.raises(NotWholeError):
        unpacked(part)


@patient
@given(st.data())
def test_no_other_content_is_taken_for_it(data: st.DataObject) -> None:
    text = zlib.decompress(packed()[0], 31)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != text[at]))
    changed = text[:at] + bytes([other]) + text[at + 1 :]
    with pytest.raises(NotWholeError):
        unpacked(gzipped(changed))


def lines(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


HEADER = {"kind": "archive", "format": 1}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(lines({"kind": "job"}), "does not begin like", id="no header"),
        pytest.param(lines(HEADER, HEADER), "does not begin like", id="two headers"),
        pytest.param(lines({**HEADER, "format": 2}), "has format 2", id="a later format"),
        pytest.param(lines(HEADER, ["job"]), "no record in line 2", id="a line that is no record"),
        pytest.param(b"no JSON\n", "no record in line 1", id="no JSON"),
        pytest.param(lines(HEADER), "ends before its last line", id="no trailer"),
        pytest.param(
            lines(HEADER, {"kind": "end", "lines": 2, "states": {}}), "number of lines", id="count"
        ),
        pytest.param(
            lines(HEADER, {"kind": "end", "lines": 1, "jobs": 0, "states": {}, "sha256": ""}),
            "has other content",
            id="digest",
        ),
    ],
)
def test_what_is_wrong_is_said(text: bytes, says: str) -> None:
    with pytest.raises(NotWholeError, match=says):
        unpacked(gzipped(text))


def test_something_behind_the_end_is_refused() -> None:
    content, _ = packed()
    with pytest.raises(NotWholeError, match="behind its end"):
        unpacked(content + b"more", bite=10_000)


def gzipped(text: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(text) + packer.flush()
