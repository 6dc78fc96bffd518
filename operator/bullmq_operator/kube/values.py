"""Durations and times as the API writes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_DURATION = re.compile(r"(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)?(?:(?P<seconds>\d+)s)?")


def parse_duration(text: str) -> timedelta:
    """`1h30m`, in the form that the CRD's rules allow. Raises ValueError for anything else."""
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise ValueError(f"not a duration such as 30s, 10m or 1h30m: {text!r}")
    return timedelta(**{unit: int(value) for unit, value in match.groupdict(default="0").items()})


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC, to the second as Kubernetes writes it. Raises ValueError if naive."""
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {moment}")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """An API server's time in UTC, to the second. Raises ValueError if it is none."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {text!r}")
    return moment.astimezone(UTC).replace(microsecond=0)
