"""The order of versions that look like semantic versions, `2` and `2.1` included."""

from __future__ import annotations

import re

# semver.org's grammar, with minor and patch optional and a leading "v" allowed;
# a `+build` part can't be written in a label value, so it does not occur.
_PATTERN = re.compile(
    r"v?(?P<major>\d{1,9})(?:\.(?P<minor>\d{1,9}))?(?:\.(?P<patch>\d{1,9}))?"
    r"(?:-(?P<pre>[0-9A-Za-z.-]+))?"
)

# (release, is-a-release, pre-release identifiers): a pre-release sorts before its release.
VersionOrder = tuple[tuple[int, int, int], int, tuple[tuple[int, int, str], ...]]


def parse(version: str) -> VersionOrder | None:
    """A sort key by semantic-version precedence; None when it is not one (a git SHA, a date)."""
    match = _PATTERN.fullmatch(version)
    if match is None or _is_date(match):
        return None
    release = (int(match["major"]), int(match["minor"] or 0), int(match["patch"] or 0))
    if match["pre"] is None:
        return release, 1, ()
    identifiers = match["pre"].split(".")
    if not all(identifiers):
        return None
    return release, 0, tuple(_identifier(part) for part in identifiers)


def _is_date(match: re.Match[str]) -> bool:
    # 2024-10-1 is no pre-release of 2024: by the identifiers' text it would come before 2024-9-1.
    return match["minor"] is None and re.fullmatch(r"[\d-]+", match["pre"] or "") is not None


def _identifier(part: str) -> tuple[int, int, str]:
    # Numeric identifiers sort numerically and before alphanumeric ones (semver.org, item 11).
    return (0, int(part), "") if part.isascii() and part.isdigit() else (1, 0, part)
