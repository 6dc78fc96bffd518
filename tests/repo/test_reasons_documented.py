"""Reasons are API: alerts and people look them up."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import pytest

from bullmq_operator.domain import reasons
from bullmq_operator.domain.counts import UnknownReason

DOCS = Path(__file__).resolve().parents[2] / "docs"
WORDS = frozenset(
    word for page in DOCS.glob("*.md") for word in re.findall(r"`([A-Za-z]+)`", page.read_text())
)
REASONS = sorted(
    {str(one) for one in chain(reasons.HeldReason, reasons.EventReason, UnknownReason)}
    | {reasons.ORDER_UNKNOWN, reasons.CONFLICT, reasons.NOT_SUPPORTED_YET}
)


@pytest.mark.parametrize("reason", REASONS)
def test_a_user_finds_the_reason_in_the_docs(reason: str) -> None:
    assert reason in WORDS
