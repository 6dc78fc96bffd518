"""The benchmarks run, and say what they are to say; their figures are nobody's promise here."""

from __future__ import annotations

import re

import pytest

from benchmarks.obliterate.__main__ import main as obliterate
from benchmarks.poll.__main__ import main as poll
from benchmarks.sweep.__main__ import main as sweep

pytestmark = pytest.mark.redis


def test_the_poll_is_measured_beside_bullmq_s_counts(capsys: pytest.CaptureFixture[str]) -> None:
    poll(["--queues", "40", "--rounds", "1"])
    told = capsys.readouterr().out
    assert "operator: a beat" in told
    assert "BullMQ: getJobCounts, one by one" in told
    assert "goal 0 ms" in told


def test_deletion_is_measured_beside_node_s_obliterate(capsys: pytest.CaptureFixture[str]) -> None:
    obliterate(["--jobs", "30", "--rounds", "1", "--only", "speed"])
    told = capsys.readouterr().out
    for way in ("plain: operator", "with a log each: operator", "plain: Node obliterate"):
        assert way in told


def test_no_producer_loses_a_job_to_the_operator(capsys: pytest.CaptureFixture[str]) -> None:
    obliterate(["--jobs", "300", "--rounds", "1", "--only", "race"])
    told = capsys.readouterr().out
    for major in ("v4", "v5", "v6", "python"):
        row = re.search(rf"^{major} producer: operator +([\d,]+) +([\d,]+) +([\d,]+)$", told, re.M)
        assert row is not None, told
        acknowledged, lost, errors = row.groups()
        assert acknowledged != "0"
        assert (lost, errors) == ("0", "0")


def test_clearing_up_is_measured_beside_a_scan_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    sweep(["--foreign", "500", "--residue", "20", "--rounds", "1"])
    told = capsys.readouterr().out
    rows = {line.split("  ")[0]: line.split()[-3:] for line in told.splitlines() if " of 1" in line}
    assert rows["operator"] == ["0", "of", "1"]
    assert rows["SCAN by pattern and UNLINK"] == ["1", "of", "1"]  # it takes the neighbours along
