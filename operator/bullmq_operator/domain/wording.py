"""How numbers and moments read in messages for people."""

from __future__ import annotations

from datetime import datetime, timedelta


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 job`, `2 jobs`, `0 jobs`; `many` where an s at the end is not enough."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def clock(moment: datetime) -> str:
    """A moment, in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def span(time: timedelta) -> str:
    """A duration as the fields of the spec have it: `1h30m`, `45s`."""
    seconds = time.total_seconds()
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{part:g}{unit}" for part, unit in parts if part) or "0s"
