"""Reads the API server's audit log: who asked what, and what was answered."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One request. A watch shows up twice: when it starts and when it ends."""

    time: datetime.datetime
    """When the request arrived."""
    stage: str
    user: str
    verb: str
    uri: str
    group: str
    resource: str
    """Plural, with its subresource: `deployments/scale`; empty for non-resource requests."""
    namespace: str
    name: str
    code: int

    @property
    def is_write(self) -> bool:
        """Whether it could have changed something."""
        return self.verb in {"create", "update", "patch", "delete", "deletecollection"}


def read_audit(
    log: Path, *, user: str | None = None, since: datetime.datetime | None = None
) -> Iterator[AuditEntry]:
    """Entries in the order in which they were written, of one user and from one moment on."""
    if not log.exists():
        return
    with log.open() as lines:
        for line in lines:
            if not line.endswith("\n"):  # being written right now
                return
            entry = _entry(json.loads(line))
            if user is not None and entry.user != user:
                continue
            if since is not None and entry.time < since:
                continue
            yield entry


def _entry(event: dict[str, Any]) -> AuditEntry:
    target = event.get("objectRef") or {}
    resource = "/".join(filter(None, [target.get("resource"), target.get("subresource")]))
    return AuditEntry(
        time=datetime.datetime.fromisoformat(event["requestReceivedTimestamp"]),
        stage=event["stage"],
        user=event.get("user", {}).get("username", ""),
        verb=event["verb"],
        uri=event["requestURI"],
        group=target.get("apiGroup", ""),
        resource=resource,
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        code=(event.get("responseStatus") or {}).get("code", 0),
    )
