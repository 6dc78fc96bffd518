"""Our Lua files: read once, their includes put in, run by digest.

An include is a line `--@include "name"` and names `lua/includes/name.lua`; each goes in once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from redis.exceptions import NoScriptError

from bullmq_operator.queues.cancelling import stop_if_cancelled
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.errors import translated

_INCLUDE = re.compile(r'^--@include "([\w-]+)"$')


@dataclass(frozen=True, slots=True)
class Script:
    """One Lua command."""

    text: str
    digest: str


def load(name: str) -> Script:
    """`lua/<name>.lua` with its includes."""
    text = "\n".join(_lines(f"{name}.lua", set()))
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def _lines(path: str, seen: set[str]) -> list[str]:
    source = resources.files("bullmq_operator.queues").joinpath("lua", path)
    lines: list[str] = []
    for line in source.read_text("utf-8").splitlines():
        found = _INCLUDE.match(line)
        if found is None:
            lines.append(line)
        elif found[1] not in seen:
            seen.add(found[1])
            lines.extend(_lines(f"includes/{found[1]}.lua", seen))
    return lines


async def run(
    connection: RedisConnection, script: Script, base: str, arguments: Sequence[str | int] = ()
) -> Any:
    """Run for one queue: ARGV[1] is its base, the rest follows.

    On a Cluster KEYS[1] finds the node; elsewhere there is none, because Redis asks for the right
    to write every key that is declared, and a reader has none. Raises QueueReadError.
    """
    stop_if_cancelled()  # a lost Lease must end a long walk of calls
    keys = [f"{base}meta"] if connection.is_cluster else []
    with translated(connection.address):
        return await evaluate(connection, script, (len(keys), *keys, base, *arguments))


async def evaluate(
    connection: RedisConnection, script: Script, words: Sequence[str | bytes | int]
) -> Any:
    """`words`: the number of keys, the keys, the arguments. Raises the library's errors."""
    try:
        return await connection.client.evalsha(script.digest, *words)
    except NoScriptError:  # first use, a restart, a fail-over or SCRIPT FLUSH
        return await connection.client.eval(script.text, *words)
