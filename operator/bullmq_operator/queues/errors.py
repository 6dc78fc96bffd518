"""The client library's errors, translated once, here, into what a person can act on.

    QueueReadError(reason, message)     one sentence; never a credential, never the library's text

Most specific first: redis-py derives AuthenticationError from ConnectionError.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager

from redis import exceptions as vendor

from bullmq_operator.domain.counts import Unknown, UnknownReason


class QueueReadError(Exception):
    """A call to Redis failed; `reason` and `message` are fit for a status."""

    def __init__(self, reason: UnknownReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    @property
    def unknown(self) -> Unknown:
        """The same as a value."""
        return Unknown(self.reason, self.message)


@contextmanager
def translated(address: str) -> Iterator[None]:
    """Turn whatever the client library raises inside into QueueReadError."""
    try:
        yield
    except vendor.RedisError as error:
        raise _translate(error, address) from error
    except (vendor.RedisClusterException, OSError, asyncio.IncompleteReadError) as error:
        raise _unreachable(error, address) from error


def _translate(error: vendor.RedisError, address: str) -> QueueReadError:
    text = str(error)
    if isinstance(error, vendor.AuthenticationError) or text.startswith(("NOAUTH", "WRONGPASS")):
        return QueueReadError(
            UnknownReason.WRONG_PASSWORD,
            f"Redis {address} refused the user name or password; correct the Secret.",
        )
    if isinstance(error, vendor.BusyLoadingError) or text.startswith("LOADING"):
        return QueueReadError(
            UnknownReason.LOADING, f"Redis {address} is loading its data; it is asked again."
        )
    if isinstance(error, vendor.ReadOnlyError) or "READONLY" in text:
        return QueueReadError(
            UnknownReason.READ_ONLY,
            f"Redis {address} is a read-only replica; use the address of the primary.",
        )
    if isinstance(error, vendor.NoPermissionError) or _FORBIDDEN.search(text):
        return QueueReadError(
            UnknownReason.FORBIDDEN,
            f"Redis {address} forbids its user {_command(text)}; extend the user's ACL.",
        )
    if "WRONGTYPE" in text:
        return QueueReadError(UnknownReason.WRONG_TYPE, wrong_type_message(address))
    if isinstance(error, vendor.OutOfMemoryError) or "OOM command" in text:
        return QueueReadError(
            UnknownReason.UNREACHABLE, f"Redis {address} is out of memory and refuses to write."
        )
    return _unreachable(error, address)


_FORBIDDEN = re.compile(r"NOPERM|ACL failure|no permissions|unknown command", re.IGNORECASE)
_COMMAND = re.compile(r"(?:run the|unknown command)\s+['\"`]([\w|-]+)", re.IGNORECASE)


def _command(text: str) -> str:
    found = _COMMAND.search(text)
    return f"the command {found[1].upper().replace('|', ' ')}" if found else "a command or a key"


def wrong_type_message(where: str) -> str:
    """For a queue one of whose keys is of a type that BullMQ never writes."""
    return f"A key of {where} is of a type that BullMQ does not write; look at it by hand."


def _unreachable(error: Exception, address: str) -> QueueReadError:
    """The library's text may quote an address with a password: only its kind is told."""
    if isinstance(error, (vendor.TimeoutError, TimeoutError)):
        what = "did not answer in time"
    elif isinstance(error, vendor.MaxConnectionsError):
        what = "has no connection left for the operator"
    elif isinstance(error, (vendor.MasterDownError, vendor.ClusterDownError)):
        what = "has no primary at the moment"
    elif isinstance(error, vendor.ResponseError):
        what = f"refused a command ({str(error).split(' ', 1)[0][:32]})"
    elif "CERTIFICATE" in str(error).upper():
        what = "shows a TLS certificate that is not trusted; check tls and the CA"
    else:
        what = "can't be reached"
    return QueueReadError(UnknownReason.UNREACHABLE, f"Redis {address} {what}.")
