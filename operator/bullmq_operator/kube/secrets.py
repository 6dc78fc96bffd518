"""One value of a Secret or ConfigMap. No message here ever holds a value."""

from __future__ import annotations

import base64
import binascii

from bullmq_operator.domain.names import SecretKeyRef
from bullmq_operator.kube.errors import NotFoundError, SecretKeyNotFoundError, SecretNotFoundError
from bullmq_operator.kube.session import Session

_PLURALS = {"Secret": "secrets", "ConfigMap": "configmaps"}


async def read_key(session: Session, namespace: str, ref: SecretKeyRef) -> str:
    """The value as text.

    Raises SecretNotFoundError, SecretKeyNotFoundError (also for a value that is no text), and
    ForbiddenError where the right to read Secrets was left out of the installation.
    """
    try:
        found = await session.request(
            "GET", f"/api/v1/namespaces/{namespace}/{_PLURALS[ref.kind]}/{ref.name}"
        )
    except NotFoundError as failure:
        message = f'{ref.kind} "{ref.name}" does not exist in namespace "{namespace}"'
        raise SecretNotFoundError(message, failure.status) from None
    value = (found.get("data") or {}).get(ref.key)
    if value is None:
        raise SecretKeyNotFoundError(f'{ref.kind} "{ref.name}" has no key "{ref.key}"')
    return str(value) if ref.kind == "ConfigMap" else _decoded(value, ref)


def _decoded(value: str, ref: SecretKeyRef) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        # From None: the cause's message would quote bytes of the value.
        message = f'{ref.kind} "{ref.name}": the value of key "{ref.key}" is not text (UTF-8)'
        raise SecretKeyNotFoundError(message) from None
