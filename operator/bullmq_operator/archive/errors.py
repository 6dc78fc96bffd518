"""What can go wrong with an archive, as one sentence for a person.

ArchiveError(reason, message)     names the field; never a credential, never a store's text
"""

from __future__ import annotations

import enum
import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from obstore import exceptions as vendor


class ArchiveReason(enum.StrEnum):
    """Why there is no archive; fit to be the reason of a condition."""

    INVALID_URL = "InvalidArchiveURL"
    NOT_ALLOWED = "ArchiveNotAllowed"
    CREDENTIALS = "ArchiveCredentialsInvalid"
    MISSING = "ArchiveNotFound"
    FORBIDDEN = "ArchiveForbidden"
    FULL = "ArchiveFull"
    UNREACHABLE = "ArchiveUnreachable"
    NOT_WHOLE = "ArchiveNotWhole"

    @property
    def needs_edit(self) -> bool:
        """Whether only an edit, of an object or of the store, cures it."""
        return self in _NEEDS_EDIT


_NEEDS_EDIT: Final = frozenset(
    {
        ArchiveReason.INVALID_URL,
        ArchiveReason.NOT_ALLOWED,
        ArchiveReason.CREDENTIALS,
        ArchiveReason.MISSING,
        ArchiveReason.FORBIDDEN,
    }
)

_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)
_READ_ONLY: Final = (errno.EROFS, errno.EACCES, errno.EPERM)
_STATUS: Final = re.compile(r"status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>(\w{1,64})</Code>")


class ArchiveError(Exception):
    """No archive was written, or one can't be read."""

    def __init__(self, reason: ArchiveReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@contextmanager
def translated(field: str, where: str) -> Iterator[None]:
    """Turn what a store raises inside into ArchiveError.

    `field` is what names the place (a field of the API, or an argument), `where` the place. The
    store's own text may hold what was sent to it, so it is dropped, and the chain with it.
    """
    try:
        yield
    except (vendor.BaseError, OSError, NotImplementedError) as error:
        translation = _translate(error, field, where)
    else:
        return
    raise translation from None


def _translate(error: Exception, field: str, where: str) -> ArchiveError:
    text = str(error)
    found = _CODE.search(text) or _STATUS.search(text)
    code = f" ({found[1]})" if found else ""
    reason, says = _row(error)
    return ArchiveError(reason, f"{field}: {where} {says.format(code=code)}.")


def _row(error: Exception) -> tuple[ArchiveReason, str]:
    match error:
        case vendor.PermissionDeniedError() | vendor.UnauthenticatedError():
            return ArchiveReason.FORBIDDEN, (
                "refuses the credentials{code}; they need the rights to read, write and delete "
                "objects there"
            )
        case FileNotFoundError():
            return ArchiveReason.MISSING, "does not exist{code}; create it"
        case OSError() if error.errno in _NO_SPACE:
            return ArchiveReason.FULL, "is full; make room"
        case OSError() if error.errno in _READ_ONLY:
            return ArchiveReason.FORBIDDEN, "can't be written by the operator; check its rights"
        case NotImplementedError():
            return ArchiveReason.INVALID_URL, "can't take so large an archive; use an object store"
        case vendor.NotSupportedError() | vendor.InvalidPathError():
            return ArchiveReason.INVALID_URL, "can't hold an archive{code}"
        case vendor.UnknownConfigurationKeyError():
            return ArchiveReason.CREDENTIALS, "can't be used with these credentials"
        case _:
            return ArchiveReason.UNREACHABLE, "can't be reached{code}; it is tried again"
