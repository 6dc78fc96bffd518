"""The file as a stream of lines: compressed, counted and digested on the way, in either direction.

The first line is the header, the last the trailer with the count and the SHA-256 of all lines
before it. Without a trailer that fits, a file is not whole, whatever its name says.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from bullmq_operator.archive import lines
from bullmq_operator.domain.archive import JobRecord, Record

FORMAT: Final = 1
LEVEL: Final = 4
"""Of the compression: at 6 a job takes twice the time, for some percent of the size."""
_BITE: Final = 64 * 1024
"""Bytes to decompress at a time: text compresses ten times and more."""
_GZIP: Final = 16 + zlib.MAX_WBITS


class NotWholeError(Exception):
    """The file is no archive, or not all of one; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Seal:
    """What the trailer says of the lines before it."""

    lines: int
    states: tuple[tuple[str, int], ...]
    """Jobs by state, sorted by name, without zeros."""
    sha256: str

    @property
    def jobs(self) -> int:
        """Of all states."""
        return sum(count for _, count in self.states)


@dataclass(slots=True)
class _Tally:
    lines: int = 0
    states: Counter[str] = field(default_factory=Counter)
    digest: Any = field(default_factory=hashlib.sha256)

    def seal(self) -> Seal:
        """Of what was counted until now."""
        return Seal(self.lines, tuple(sorted(self.states.items())), self.digest.hexdigest())


class Packer:
    """Records in, bytes of the file out. Not for two threads at a time."""

    def __init__(self) -> None:
        self._tally = _Tally()
        self._gzip = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP)

    @property
    def states(self) -> Counter[str]:
        """Jobs by state until now."""
        return self._tally.states

    def header(self, header: dict[str, Any]) -> bytes:
        """The first line."""
        return self._pack(lines.dumped({"kind": "archive", "format": FORMAT, **header}))

    def records(self, records: Iterable[Record]) -> bytes:
        """Some more; may be empty as long as the compressor holds them."""
        encoded = []
        for record in records:
            if isinstance(record, JobRecord):
                self._tally.states[record.state.value] += 1
            encoded.append(lines.encoded(record))
        return self._pack(*encoded)

    def trailer(self) -> tuple[bytes, Seal]:
        """The end."""
        seal = self._tally.seal()
        return self._pack(lines.dumped(_trailer(seal))) + self._gzip.flush(), seal

    def _pack(self, *lines: bytes) -> bytes:
        text = b"".join(lines)
        self._tally.lines += len(lines)
        self._tally.digest.update(text)
        return self._gzip.compress(text)


class Unpacker:
    """Bytes of the file in, parsed lines out, header first; the trailer is checked, not given."""

    def __init__(self) -> None:
        self._tally = _Tally()
        self._gzip = zlib.decompressobj(_GZIP)
        self._rest: list[bytes] = []
        self.seal: Seal | None = None
        """Of the whole file, once its trailer was seen and fits."""

    def lines(self, content: bytes) -> list[dict[str, Any]]:
        """Those that end in this content. Raises NotWholeError."""
        try:
            text = self._gzip.decompress(content)
        except zlib.error:
            raise NotWholeError("is no gzip file, or is damaged") from None
        if self._gzip.unused_data:
            raise NotWholeError("has something behind its end")
        *whole, rest = text.split(b"\n")
        if whole:
            whole[0] = b"".join((*self._rest, whole[0]))
            self._rest = []
        self._rest.append(rest)
        return [line for line in map(self._line, whole) if line is not None]

    def end(self) -> Seal:
        """The file is over. Raises NotWholeError."""
        if self.seal is None or not self._gzip.eof or any(self._rest):
            raise NotWholeError("ends before its last line")
        return self.seal

    def _line(self, text: bytes) -> dict[str, Any] | None:
        if self.seal is not None:
            raise NotWholeError("goes on after its last line")
        line = self._parsed(text)
        if line["kind"] == "end":
            self._close(line)
            return None
        if line["kind"] == "job":
            self._tally.states[str(line.get("state"))] += 1
        self._tally.lines += 1
        self._tally.digest.update(text + b"\n")
        return line

    def _parsed(self, text: bytes) -> dict[str, Any]:
        number = self._tally.lines + 1
        try:
            line = json.loads(text)
            is_header = line["kind"] == "archive"
        except (ValueError, KeyError, TypeError, RecursionError):
            raise NotWholeError(f"has no record in line {number}") from None
        if is_header is not (number == 1):
            raise NotWholeError("does not begin like an archive of bullmq-operator")
        if is_header and line.get("format") != FORMAT:
            raise NotWholeError(f"has format {line.get('format')!r}; this version reads {FORMAT}")
        parsed: dict[str, Any] = line
        return parsed

    def _close(self, line: dict[str, Any]) -> None:
        seal = self._tally.seal()
        if {**line, "sha256": seal.sha256} != _trailer(seal):
            raise NotWholeError("has another number of lines than its last line says")
        if line != _trailer(seal):
            raise NotWholeError("has other content than its last line says")
        self.seal = seal


def _trailer(seal: Seal) -> dict[str, Any]:
    counted = {"lines": seal.lines, "jobs": seal.jobs, "states": dict(seal.states)}
    return {"kind": "end", **counted, "sha256": seal.sha256}


async def batches(
    content: AsyncGenerator[bytes], unpacker: Unpacker
) -> AsyncIterator[list[dict[str, Any]]]:
    """The lines of a whole file; at its end the unpacker has its seal. Raises NotWholeError."""
    async with aclosing(content):
        async for chunk in content:
            for start in range(0, len(chunk), _BITE):
                # In a thread: it is work of milliseconds, and others use this loop.
                yield await asyncio.to_thread(unpacker.lines, chunk[start : start + _BITE])
    unpacker.end()
