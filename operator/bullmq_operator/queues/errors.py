"""The client library's errors, translated once, here, into what a person can act on.

    QueueReadError(reason, message)     one sentence; never a credential, never the library's text

The library hides causes: an expired certificate is a ConnectionError, and so is a wrong password;
its cluster client says "cannot be connected" for both. So the whole chain of causes is held against
the table in failures.py.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager

from redis import exceptions as vendor

from bullmq_operator.domain.counts import Unknown, UnknownReason
from bullmq_operator.queues.failures import FAILURES

LOGIN = "spec.redis.usernameFrom, passwordFrom or urlFrom"


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
def translated(address: str, *, what: str = "Redis", login: str = LOGIN) -> Iterator[None]:
    """Turn whatever the client library raises inside into QueueReadError.

    `login` names the field that holds the credentials for this server.
    """
    try:
        yield
    except (
        vendor.RedisError,
        vendor.RedisClusterException,
        OSError,
        asyncio.IncompleteReadError,
    ) as error:
        raise _translate(error, f"{what} {address}", login) from error


def refusal_in_script(text: str, address: str, base: str) -> Unknown:
    """What a script said of one queue, where Redis as such could be read."""
    queue = f"queue {base.rstrip(':')}"
    if "WRONGTYPE" in text:
        return Unknown(UnknownReason.WRONG_TYPE, wrong_type_message(queue))
    found = _told_by(text, f"Redis {address}", LOGIN)
    if found is not None:
        return found.unknown
    return Unknown(UnknownReason.UNREACHABLE, f"Redis {address} could not read {queue}.")


def wrong_type_message(where: str) -> str:
    """For a queue one of whose keys is of a type that BullMQ never writes."""
    return f"A key of {where} is of a type that BullMQ does not write; look at it by hand."


def _translate(error: BaseException, server: str, login: str) -> QueueReadError:
    chain = list(_chain(error))
    text = "\n".join(f"{type(one).__name__} {one}" for one in chain)
    if "WRONGTYPE" in text:
        return QueueReadError(UnknownReason.WRONG_TYPE, wrong_type_message(server))
    found = _told_by(text, server, login)
    if found is not None:
        return found
    refused = next((one for one in chain if isinstance(one, vendor.ResponseError)), None)
    what = "can't be reached" if refused is None else f"refused a command ({_code(refused)})"
    return QueueReadError(UnknownReason.UNREACHABLE, f"{server} {what}; it is asked again.")


def _told_by(text: str, server: str, login: str) -> QueueReadError | None:
    for failure in FAILURES:
        if failure.pattern.search(text):
            says = failure.says.format(login=login, command=_command(text))
            return QueueReadError(failure.reason, f"{server} {says}.")
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what led to it."""
    while error is not None:
        yield error
        suppressed = None if error.__suppress_context__ else error.__context__
        error = error.__cause__ or suppressed


_COMMAND = re.compile(r"(?:run the|unknown command)\s+['\"`]([\w|-]+)", re.IGNORECASE)


def _command(text: str) -> str:
    found = _COMMAND.search(text)
    return f"the command {found[1].upper().replace('|', ' ')}" if found else "a command or a key"


def _code(error: vendor.ResponseError) -> str:
    """The error's first word: what follows may quote a key or a value."""
    found = re.match(r"[A-Z]{3,32}\b", str(error))
    return found[0] if found else str(error.status_code or "ERR")
