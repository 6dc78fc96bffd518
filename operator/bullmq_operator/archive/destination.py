"""Where an archive goes: the URL, who may name it, and the name of the file below it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bullmq_operator.archive.errors import ArchiveError, ArchiveReason
from bullmq_operator.domain.archive import ArchivedJobs
from bullmq_operator.domain.names import QueueId
from bullmq_operator.settings import ArchiveGrant

OPEN_SCHEMES: Final = ("s3", "gs", "abfs", "https")
"""What a namespace may use with credentials of its own, if the settings say nothing."""
FIELD: Final = "spec.retire.archive.url"
SUFFIX: Final = ".jsonl.gz"

_URL: Final = re.compile(
    r"(?P<scheme>s3|gs|https|abfs)://(?P<place>[^/@?#\s]+|(?<=abfs://)[^/:@?#\s]+@[^/:@?#\s]+)"
    r"(?P<path>/[^?#]*)?"
)
_FILE: Final = re.compile(r"file://(?P<path>/[^?#]*)")


@dataclass(frozen=True, slots=True)
class Destination:
    """A place that may be written, and with what."""

    scheme: str
    place: str
    """Bucket, container or host; empty for a folder."""
    path: str
    """Without slashes at its ends."""
    named_by: str = FIELD
    """For messages: the field, or the argument of a command."""
    credentials: Mapping[str, str] | None = field(default=None, repr=False)
    """A Secret's data; None: the process's own identity."""

    def url(self, name: str) -> str:
        """The address of a file, without credentials."""
        return "/".join(part for part in (f"{self.scheme}://{self.place}", self.path, name) if part)


def parse(
    url: str, named_by: str = FIELD, credentials: Mapping[str, str] | None = None
) -> Destination:
    """Raises ArchiveError(INVALID_URL); its message does not repeat the URL, which may hold a
    credential put into the wrong place.
    """
    found = _FILE.fullmatch(url) or _URL.fullmatch(url)
    parts = [part for part in (found["path"] or "").split("/") if part] if found else []
    if found is None or {".", ".."} & set(parts):
        raise ArchiveError(
            ArchiveReason.INVALID_URL,
            f"{named_by}: must be s3://bucket/path, gs://bucket/path, abfs://container@account/path"
            " or https://host/path, without credentials or parameters.",
        )
    groups = found.groupdict()
    return Destination(
        scheme=groups.get("scheme") or "file",
        place=groups.get("place") or "",
        path="/".join(parts),
        named_by=named_by,
        credentials=credentials,
    )


def allowed(
    url: str,
    namespace: str,
    grants: Sequence[ArchiveGrant],
    credentials: Mapping[str, str] | None,
) -> Destination:
    """The destination, if this namespace may use it.

    With grants, only what they name. Without, any of OPEN_SCHEMES, but with credentials of the
    namespace's own: else whoever may write a QueueVersion could write wherever the operator may.
    Raises ArchiveError(INVALID_URL, NOT_ALLOWED).
    """
    destination = parse(url, credentials=credentials)
    if grants:
        if any(grant.allows(namespace, url) for grant in grants):
            return destination
        problem = f"is not among the archives that namespace {namespace} may use"
        cure = "see BULLMQ_OPERATOR_ARCHIVE_URLS"
    elif destination.scheme not in OPEN_SCHEMES:
        problem = f"{destination.scheme}:// is not allowed"
        cure = "an admin may allow it with BULLMQ_OPERATOR_ARCHIVE_URLS"
    elif not credentials:
        problem = "needs credentials in a Secret of the namespace"
        cure = "or an admin who allows the operator's own with BULLMQ_OPERATOR_ARCHIVE_URLS"
    else:
        return destination
    raise ArchiveError(ArchiveReason.NOT_ALLOWED, f"{FIELD}: {problem}; {cure}.")


def file_name(
    queue: QueueId, address: str, stamp: str | None, jobs: ArchivedJobs, number: int
) -> str:
    """`<namespace>/<queue>-<digest>/<stamp>.<jobs>.jsonl.gz`: another stamp, another file.

    The digest tells queues apart whose names differ in what a path should not hold.
    """
    exact = f"{address}\n{queue.base}"
    digest = hashlib.sha256(exact.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", queue.name).strip("-.")[:80] or "queue"
    more = f".{number}" if number > 1 else ""
    file = f"{stamp or 'no-stamp'}.{jobs.lower()}{more}{SUFFIX}"
    return f"{queue.backend.namespace}/{plain}-{digest}/{file}"
