"""The wire between the operator and Redis, command by command.

Redis runs one command at a time, so what may happen between two commands of the operator is all
that may happen at all. Every command is counted, stopped at, and let through one by one, those of a
pipeline and of a transaction too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

import hiredis

_OF_THE_CONNECTION = (b"CLIENT", b"SELECT", b"AUTH", b"HELLO")
"""What redis-py says first on a new connection: touches no key, so it is not counted."""


class CutError(Exception):
    """Ends the connection from within a hook."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command, as the client sent it."""

    words: tuple[bytes, ...]

    @property
    def raw(self) -> bytes:
        """An array of strings, as every client library sends it."""
        parts = (b"$%d\r\n%s\r\n" % (len(word), word) for word in self.words)
        return b"*%d\r\n%s" % (len(self.words), b"".join(parts))

    def __str__(self) -> str:
        return b" ".join(word[:40] for word in self.words[:4]).decode(errors="replace")


Hook = Callable[[int, Command], None]
"""Called with the command's number, from 1. A CutError ends the connection there."""


def nothing(number: int, command: Command) -> None:
    """A hook that lets it pass."""


@dataclass(slots=True)
class Wire:
    """A proxy on a port of its own. Hooks run while the operator waits: nothing of it moves."""

    host: str
    target: int
    before: Hook = nothing
    """Before Redis gets the command."""
    after: Hook = nothing
    """After Redis ran it, before the operator gets its answer."""
    refuses: bool = False
    """New connections are closed at once, as those of a killed process and of a dead server."""
    seen: list[Command] = field(default_factory=list)
    port: int = 0
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        """For the operator."""
        return f"redis://{self.host}:{self.port}"

    def cut(self) -> None:
        """Every connection breaks, and none is taken any more."""
        self.refuses = True
        for writer in list(self._open):
            writer.transport.abort()

    def open_again(self) -> None:
        """Take connections, and do nothing between."""
        self.before = self.after = nothing
        self.refuses = False

    def reset(self) -> None:
        """Count from 1 again, and do nothing between."""
        self.open_again()
        self.seen.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        back, forth = await asyncio.open_connection(self.host, self.target)
        self._open |= {writer, forth}
        sent = hiredis.Reader()
        try:
            while chunk := await reader.read(1 << 16):
                sent.feed(chunk)
                while (words := sent.gets()) is not False:
                    writer.write(await self._through(Command(tuple(words)), back, forth))
        except (ConnectionError, CutError):
            pass  # either side has gone, or was made to
        finally:
            self._open -= {writer, forth}
            writer.transport.abort()
            forth.transport.abort()

    async def _through(
        self, command: Command, back: asyncio.StreamReader, forth: asyncio.StreamWriter
    ) -> bytes:
        number = 0
        if command.words[0].upper() not in _OF_THE_CONNECTION:
            self.seen.append(command)
            number = len(self.seen)
            self.before(number, command)
        forth.write(command.raw)
        answer = await _answer(back)
        if number:
            self.after(number, command)
        return answer

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._serve, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await self._server.wait_closed()


async def _answer(back: asyncio.StreamReader) -> bytes:
    """One whole answer: nothing else is under way on this connection."""
    raw, reader = b"", hiredis.Reader()
    while reader.gets() is False:
        chunk = await back.read(1 << 16)
        if not chunk:
            raise ConnectionResetError
        raw += chunk
        reader.feed(chunk)
    return raw
