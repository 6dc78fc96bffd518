"""What may go wrong between us and the API server.

    KubeError                 any failure; `status` is None when no answer came at all
    ├── NotFoundError         404: the object is gone
    ├── ConflictError         409: it exists already, or is not the one that was looked at
    ├── ForbiddenError        403: the ServiceAccount lacks a right
    ├── SecretNotFoundError   a Secret or ConfigMap that an object names does not exist
    └── SecretKeyNotFoundError   it exists, but has no such key

The vendor's client fails in three families (ApiException, TimeoutError, aiohttp.ClientError);
`mapped` turns them into these at the boundary, and nothing above catches a vendor's error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
from kubernetes.aio.client.exceptions import ApiException


class KubeError(Exception):
    """A call to the API server failed."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status; None when there was no answer."""


class NotFoundError(KubeError):
    """404."""


class ConflictError(KubeError):
    """409: already exists, or a precondition (uid, resourceVersion) does not hold."""


class ForbiddenError(KubeError):
    """403: the message names the verb and the resource that the Role must allow."""


class SecretNotFoundError(KubeError):
    """A Secret or ConfigMap that a QueueVersion names is missing."""


class SecretKeyNotFoundError(KubeError):
    """A Secret or ConfigMap lacks the key that a QueueVersion names."""


_BY_STATUS: dict[int, type[KubeError]] = {
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
}


def error_for(status: int, body: str, what: str) -> KubeError:
    """The error of an HTTP answer; `what` says which call failed."""
    return _BY_STATUS.get(status, KubeError)(f"{what}: {_message(status, body)}", status)


@contextmanager
def mapped(what: str) -> Iterator[None]:
    """Translate the vendor's failures; `what` says which call failed, such as "PATCH /apis/…".

    Raises KubeError or one of its subclasses.
    """
    try:
        yield
    except ApiException as failure:
        raise error_for(failure.status or 0, str(failure.body or ""), what) from failure
    except TimeoutError as failure:
        raise KubeError(f"{what}: the API server did not answer in time") from failure
    except aiohttp.ClientError as failure:
        raise KubeError(f"{what}: {failure or type(failure).__name__}") from failure


def _message(status: int, body: str) -> str:
    """The server's own sentence, if it sent its Status object."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if isinstance(answer, dict) and answer.get("message"):
        return str(answer["message"])
    return f"HTTP {status} {body[:200]}".strip()
