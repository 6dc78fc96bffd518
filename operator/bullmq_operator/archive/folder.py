"""Archives in a folder, such as a mounted volume."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from bullmq_operator.archive.errors import translated

CHUNK_BYTES: Final = 1024 * 1024
PARTIAL: Final = ".partial"
ABANDONED: Final = timedelta(hours=1)
"""Nobody writes any more to an unfinished file that has not grown for so long."""

Write = Callable[[bytes], Awaitable[object]]


class Folder:
    """See stores.Store. A file is written beside its name, synced to the disk, then renamed."""

    def __init__(self, folder: str, named_by: str) -> None:
        self._folder, self._named_by = Path(folder), named_by

    async def exists(self, name: str) -> bool:
        """Raises ArchiveError."""
        with translated(self._named_by, f"folder {self._folder}"):
            return await asyncio.to_thread((self._folder / name).is_file)

    @asynccontextmanager
    async def write(self, name: str, now: datetime) -> AsyncIterator[Write]:
        """The folder itself must exist: a volume that is not mounted is no archive."""
        target = self._folder / name
        with translated(self._named_by, f"folder {self._folder}"):
            partial, descriptor = await asyncio.to_thread(self._begin, target, now)
            # An executor's thread may still write when we are cancelled: the file object's own
            # lock makes `close` wait for it.
            with os.fdopen(descriptor, "wb", buffering=CHUNK_BYTES) as file:
                try:
                    yield lambda content: asyncio.to_thread(file.write, content)
                    await asyncio.to_thread(_finish, file.fileno(), file.flush, partial, target)
                except BaseException:
                    with suppress(OSError):
                        partial.unlink()
                    raise

    async def read(self, name: str) -> AsyncGenerator[bytes]:
        """Raises ArchiveError."""
        with translated(self._named_by, str(self._folder / name)):
            file = await asyncio.to_thread((self._folder / name).open, "rb")
            with file:
                while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                    yield chunk

    async def remove(self, name: str) -> None:
        """Raises ArchiveError."""
        with translated(self._named_by, f"folder {self._folder}"):
            await asyncio.to_thread((self._folder / name).unlink, missing_ok=True)

    def _begin(self, target: Path, now: datetime) -> tuple[Path, int]:
        self._folder.stat()  # mkdir would make it
        target.parent.mkdir(parents=True, exist_ok=True)
        for old in target.parent.glob(f"*{PARTIAL}"):
            with suppress(OSError):
                if now.timestamp() - old.stat().st_mtime > ABANDONED.total_seconds():
                    old.unlink()
        descriptor, name = tempfile.mkstemp(PARTIAL, f"{target.name}.", target.parent)
        return Path(name), descriptor


def _finish(descriptor: int, flush: Callable[[], None], partial: Path, target: Path) -> None:
    flush()
    os.fsync(descriptor)
    partial.rename(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # else a power cut may undo the rename
    finally:
        os.close(folder)
