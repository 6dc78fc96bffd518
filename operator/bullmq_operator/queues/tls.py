"""TLS to Redis: whose certificates are trusted."""

from __future__ import annotations

import ssl
from functools import lru_cache
from typing import Any

from redis.asyncio.connection import SSLConnection

from bullmq_operator.domain.counts import UnknownReason
from bullmq_operator.queues.errors import QueueReadError


@lru_cache(maxsize=64)
def trust(authorities: str | None) -> ssl.SSLContext:
    """A context that trusts these authorities (PEM) and no others; None: the system's.

    Made once for all connections: to parse the system's bundle takes 20 ms. Raises QueueReadError
    for text that holds no certificate.
    """
    try:
        if authorities == "":  # which Python takes for "not given"
            raise ValueError(authorities)
        context = ssl.create_default_context(cadata=authorities)
    except (ssl.SSLError, ValueError):
        raise QueueReadError(
            UnknownReason.BAD_URL,
            "What spec.redis.tls.caFrom names is no PEM certificate; it begins with "
            "-----BEGIN CERTIFICATE-----.",
        ) from None
    if authorities is not None:
        # Python 3.13 refuses a CA without key usage, which Node and Redis's own tools accept.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


class TlsConnection(SSLConnection):
    """redis-py's trusts the system's authorities beside those it is given."""

    def __init__(self, *, ssl_ca_data: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context.context = trust(ssl_ca_data)
