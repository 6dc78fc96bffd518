"""Events on QueueVersions: one object per thing said, counted up when it is said again.

The name is a digest of what is said, so a restarted operator finds its earlier Event without the
right to read Events: creating it again is refused, and the patch's answer tells the count.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from datetime import datetime, timedelta

from bullmq_operator.domain.observation import QueueVersion
from bullmq_operator.kube.errors import ConflictError, NotFoundError
from bullmq_operator.kube.session import FIELD_MANAGER, MERGE_PATCH, Json, Session
from bullmq_operator.kube.values import format_time

REPEAT_WINDOW = timedelta(hours=1)
"""As long as API servers keep Events by default (--event-ttl). Later, it is news again."""

MAX_MESSAGE = 1024
"""Bytes; the API server refuses longer ones of the newer Event API, and tools cut them."""

_REMEMBERED = 4096
"""Events whose count is known without asking; about 1 MB."""


class EventRecorder:
    """Writes Events, and remembers the count of the recent ones."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._seen: OrderedDict[str, tuple[int, datetime]] = OrderedDict()

    async def post(
        self, version: QueueVersion, reason: str, message: str, warning: bool, *, now: datetime
    ) -> None:
        """Create the Event, or count it up. Raises KubeError."""
        event = _event(version, reason, _shortened(message), warning, now)
        name = event["metadata"]["name"]
        count, last = self._seen.get(name, (0, now))
        if now - last > REPEAT_WINDOW:
            count = 0
        count = await self._count_up(event, count) if count else await self._create(event)
        self._seen[name] = count, now
        self._seen.move_to_end(name)
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    async def _create(self, event: Json) -> int:
        try:
            await self._session.request(
                "POST", _collection(event), query={"fieldManager": FIELD_MANAGER}, body=event
            )
        except ConflictError:  # said before our start, or more than a window ago
            seen = await self._patch(event, {"lastTimestamp": event["lastTimestamp"]})
            return await self._count_up(event, seen.get("count", 1))
        return 1

    async def _count_up(self, event: Json, count: int) -> int:
        try:
            changed = {"count": count + 1, "lastTimestamp": event["lastTimestamp"]}
            await self._patch(event, changed)
        except NotFoundError:  # it expired, or somebody removed it
            return await self._create(event)
        return count + 1

    async def _patch(self, event: Json, changed: Json) -> Json:
        path = f"{_collection(event)}/{event['metadata']['name']}"
        return await self._session.request(
            "PATCH",
            path,
            query={"fieldManager": FIELD_MANAGER},
            body=changed,
            content_type=MERGE_PATCH,
        )


def _collection(event: Json) -> str:
    return f"/api/v1/namespaces/{event['metadata']['namespace']}/events"


def _event(version: QueueVersion, reason: str, message: str, warning: bool, now: datetime) -> Json:
    said = "\0".join((version.uid, reason, message))
    digest = hashlib.sha256(said.encode()).hexdigest()[:16]
    moment = format_time(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            # An object's name has at most 253 characters.
            "name": f"{version.key.name[:236]}.{digest}",
            "namespace": version.key.namespace,
        },
        "involvedObject": {
            "apiVersion": "bullmq-operator.dev/v1alpha1",
            "kind": "QueueVersion",
            "namespace": version.key.namespace,
            "name": version.key.name,
            "uid": version.uid,
            "resourceVersion": version.resource_version,
        },
        "reason": reason,
        "message": message,
        "type": "Warning" if warning else "Normal",
        "count": 1,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
    }


def _shortened(message: str) -> str:
    data = message.encode()
    if len(data) <= MAX_MESSAGE:
        return message
    return data[: MAX_MESSAGE - 3].decode(errors="ignore") + "…"
