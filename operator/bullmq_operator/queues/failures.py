"""What can be wrong with a Redis or with the way to it: how each is told from the others.

A pattern is held against the names of the exceptions' classes and their texts, one a line, since
redis-py tells some by their class and some by their text alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bullmq_operator.domain.counts import UnknownReason as Reason


@dataclass(frozen=True, slots=True)
class Failure:
    """One row; the first that fits tells."""

    reason: Reason
    pattern: re.Pattern[str]
    says: str
    """Goes after the server's name. `{login}`: the fields with the credentials; `{command}`."""


def _failure(reason: Reason, pattern: str, says: str) -> Failure:
    return Failure(reason, re.compile(pattern, re.IGNORECASE | re.MULTILINE), says)


_TLS: Final = (
    _failure(
        Reason.TLS_FAILED,
        "^SSLCertVerificationError.*expired",
        "shows a TLS certificate that has expired; renew it",
    ),
    _failure(
        Reason.TLS_FAILED,
        "^SSLCertVerificationError.*not yet valid",
        "shows a TLS certificate that is not valid yet; compare the clocks",
    ),
    _failure(
        Reason.TLS_FAILED,
        "^SSLCertVerificationError.*(mismatch|doesn't match|not valid for)",
        "shows a TLS certificate for another name; address it by a name that the certificate has, "
        "or issue one that has this name",
    ),
    _failure(
        Reason.TLS_FAILED,
        "^SSLCertVerificationError",
        "shows a TLS certificate that no trusted authority has signed; name its CA in "
        "spec.redis.tls.caFrom",
    ),
    _failure(
        Reason.TLS_FAILED,
        "^SSL.*(CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|BAD_CERTIFICATE)",
        "asks for a client certificate, which the operator can't present; let it accept clients "
        "without one (tls-auth-clients optional)",
    ),
    _failure(
        Reason.TLS_FAILED,
        "^SSL.*(WRONG_VERSION_NUMBER|RECORD_LAYER|UNKNOWN_PROTOCOL|HTTP_REQUEST)",
        "does not speak TLS on this port; use its TLS port, or redis:// without spec.redis.tls",
    ),
    _failure(
        Reason.TLS_FAILED,
        "^SSL(Error|ZeroReturnError|EOFError)",
        "and the operator can't agree on TLS; compare versions and ciphers",
    ),
)

_WHO_ASKS: Final = (
    _failure(
        Reason.FORBIDDEN,
        "NOPERM|ACL failure|no permissions|unknown command|user executing the script can't",
        "forbids its user {command}; extend the user's ACL",
    ),
    _failure(
        Reason.UNREACHABLE,
        "max number of clients",
        "has no connection left for the operator (maxclients); it is asked again",
    ),
    _failure(
        Reason.FORBIDDEN,
        "in protected mode",
        "is in protected mode and refuses other machines; give it a password",
    ),
    _failure(
        Reason.WRONG_PASSWORD,
        "^Authentication|NOAUTH|WRONGPASS",
        "refused the user name or password; correct what {login} names",
    ),
)

_WHAT_IT_IS: Final = (
    _failure(
        Reason.BAD_URL,
        "Invalid Database|DB index is out of range",
        "has no database of this number; correct it at the end of the URL",
    ),
    _failure(
        Reason.WRONG_TOPOLOGY,
        "Cluster mode is not enabled|cluster support disabled",
        "is no Redis Cluster; leave spec.redis.topology out",
    ),
    _failure(
        Reason.WRONG_TOPOLOGY,
        "SELECT is not allowed in cluster mode",
        "is a node of a Redis Cluster; set spec.redis.topology to Cluster",
    ),
    _failure(
        Reason.READ_ONLY,
        "READONLY|read only replica|is now a slave",
        "is a read-only replica; use the address of the primary",
    ),
)

_HOW_IT_IS: Final = (
    _failure(
        Reason.UNREACHABLE,
        "^AskError|^TryAgainError|^MovedError|TTL exhausted|non local key",
        "is moving the queue's slot to another node; it is asked again",
    ),
    _failure(Reason.LOADING, "LOADING", "is loading its data; it is asked again"),
    _failure(
        Reason.UNREACHABLE,
        "MASTER_?DOWN|CLUSTER_?DOWN|cluster is down|^SlotNotCovered|slots are not covered",
        "has no primary at the moment; it is asked again",
    ),
    _failure(
        Reason.UNREACHABLE,
        r"\bBUSY\b|busy running a script",
        "is blocked by a script that does not end (SCRIPT KILL ends it); it is asked again",
    ),
    _failure(
        Reason.UNREACHABLE,
        r"^OutOfMemory|\bOOM\b",
        "is out of memory and refuses to write; raise maxmemory or make room",
    ),
    _failure(
        Reason.UNREACHABLE,
        "MISCONF",
        "can't save to its disk and refuses to write; its log says why",
    ),
    _failure(
        Reason.UNREACHABLE,
        "NOREPLICAS",
        "has too few replicas to take a write (min-replicas-to-write); it is asked again",
    ),
)

_THE_WAY: Final = (
    _failure(
        Reason.UNREACHABLE,
        "^MaxConnectionsError|No connection available",
        "is slow: all connections of the operator to it wait; it is asked again",
    ),
    _failure(Reason.UNREACHABLE, "^gaierror", "can't be reached: its host name is not known"),
    _failure(
        Reason.UNREACHABLE,
        "^ConnectionRefusedError",
        "can't be reached: nothing listens there; it is asked again",
    ),
    _failure(Reason.UNREACHABLE, "^TimeoutError", "does not answer in time; it is asked again"),
    _failure(
        Reason.UNREACHABLE,
        "^InvalidResponse",
        "can't be reached: what answers there is no Redis; correct the port",
    ),
    _failure(
        Reason.UNREACHABLE,
        "connection closed by server|^ConnectionResetError|^BrokenPipeError|^IncompleteReadError",
        "can't be reached: it ends the connection instead of answering; it is asked again (a TLS "
        "port does so that is asked without TLS, and one that demands a client certificate)",
    ),
)

FAILURES: Final = _TLS + _WHO_ASKS + _WHAT_IT_IS + _HOW_IT_IS + _THE_WAY
"""`says` has a next step wherever a person has one."""
