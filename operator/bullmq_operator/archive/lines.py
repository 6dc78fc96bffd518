"""One record, one line of JSON, and back without the loss of a byte.

Job data and options are JSON already, numbers are text in Redis: they are written as JSON, so that
a person can search them, if and only if that gives the very text again, for which `escaped` lists
those that were written in ASCII (as Python's BullMQ does). What would not come back (`1.50`, a
duplicate key) is written as a string, and `text` lists it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from bullmq_operator.domain.archive import (
    DeduplicationRecord,
    JobRecord,
    JobState,
    PendingRecord,
    Record,
    SchedulerRecord,
)

JSON_FIELDS: Final = frozenset(
    {"data", "opts", "returnvalue", "stacktrace", "progress", "parent"}
    | {"timestamp", "delay", "priority", "processedOn", "finishedOn"}
    | {"attemptsMade", "atm", "ats", "stc"}
)
"""Fields of a job's hash that BullMQ writes as JSON or as a number (`classes/job.js` asJSON)."""

_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,18}")


class LineError(ValueError):
    """A line that no archive of this format has."""


def dumped(value: object) -> bytes:
    """One line. What Redis holds that is no UTF-8 is escaped, so every line is UTF-8."""
    try:
        return _text(value).encode() + b"\n"
    except UnicodeEncodeError:
        return _text(value, is_escaped=True).encode() + b"\n"


def encoded(record: Record) -> bytes:
    """The line of a record."""
    match record:
        case JobRecord():
            return dumped(_job(record))
        case SchedulerRecord(name, due, fields):
            scheduler = {"kind": "scheduler", "id": name, "next": _number(due), "fields": fields}
            return dumped(scheduler)
        case DeduplicationRecord(name, owner, expires):
            line = {"kind": "deduplication", "id": name, "owner": owner, "expires": expires}
            return dumped(line)
        case PendingRecord(name, fields):
            return dumped({"kind": "pending", "id": name, "fields": fields})


def decoded(line: Mapping[str, Any]) -> Record:
    """The record of a parsed line. Raises LineError."""
    try:
        match line["kind"]:
            case "job":
                return _job_of(line)
            case "scheduler":
                return SchedulerRecord(line["id"], _score(line["next"]), line["fields"])
            case "deduplication":
                return DeduplicationRecord(line["id"], line["owner"], line["expires"])
            case "pending":
                return PendingRecord(line["id"], line["fields"])
            case other:
                raise LineError(f"a line is of the kind {other!r}, which this version can't read")
    except (KeyError, TypeError, AttributeError) as error:
        raise LineError(f"a line lacks {error}") from error
    except ValueError as error:
        raise LineError(str(error)) from error


def _job(job: JobRecord) -> dict[str, Any]:
    line: dict[str, Any] = {"kind": "job", "id": job.id, "state": job.state.value}
    if job.score is not None:
        line["score"] = _number(job.score)
    fields: dict[str, Any] = {}
    unusual: dict[str, list[str]] = {"text": [], "escaped": []}
    for name, value in job.fields.items():
        fields[name] = value
        if name in JSON_FIELDS:
            try:
                fields[name], is_escaped = _parsed(value)
            except ValueError:
                unusual["text"].append(name)
            else:
                if is_escaped:
                    unusual["escaped"].append(name)
    line["job"] = fields
    line |= {name: fields for name, fields in unusual.items() if fields}
    for name in ("logs", "dependencies", "processed", "failed", "unsuccessful"):
        if content := getattr(job, name):
            line[name] = content
    return line


def _job_of(line: Mapping[str, Any]) -> JobRecord:
    as_text, escaped = line.get("text", ()), line.get("escaped", ())
    fields = {
        name: _text(value, is_escaped=name in escaped)
        if name in JSON_FIELDS and name not in as_text
        else value
        for name, value in line["job"].items()
    }
    return JobRecord(
        id=line["id"],
        state=JobState(line["state"]),
        fields=fields,
        score=_score(line["score"]) if "score" in line else None,
        logs=tuple(line.get("logs", ())),
        dependencies=tuple(line.get("dependencies", ())),
        processed=line.get("processed", {}),
        failed=line.get("failed", {}),
        unsuccessful=line.get("unsuccessful", {}),
    )


def _parsed(text: str) -> tuple[Any, bool]:
    """The JSON value of a text, and whether the text is escaped to ASCII.

    Raises ValueError for one that would not come back.
    """
    if _INTEGER.fullmatch(text):
        return int(text), False
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("too deep") from None
    if _text(value) == text:
        return value, False
    if _text(value, is_escaped=True) == text:
        return value, True
    raise ValueError("not as json.dumps writes it")


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _number(score: str) -> int | float | str:
    """Redis writes some scores, such as `inf`, as no JSON."""
    try:
        value, _ = _parsed(score)
    except ValueError:
        return score
    return value if isinstance(value, int | float) else score


def _score(value: int | float | str) -> str:
    return value if isinstance(value, str) else _text(value)


def _text(value: object, *, is_escaped: bool = False) -> str:
    return (_ESCAPING if is_escaped else _ENCODER).encode(value)


# Kept: json.dumps and json.loads make new ones at each call that is not plain, which took as long
# as the rest.
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False)
_ESCAPING: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False)
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse)
