"""Who is attached to a queue: BullMQ names a worker's blocking connection after its queue.

Node: `<prefix>:<base64 of the queue>`, then `:w:<worker name>` if it has one (v4 to v6,
`classes/queue-base.js` clientName). Python: the queue's name as it is. QueueEvents end in `:qe`
and are no workers; producers have no name and can't be seen.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bullmq_operator.domain.counts import AttachedClient, ClientsUnknown
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.errors import QueueReadError, translated

_WORKER = ":w:"


@dataclass(frozen=True, slots=True)
class ClientTable:
    """The named connections to one database of one Redis."""

    by_name: Mapping[str, tuple[AttachedClient, ...]] = field(default_factory=dict)

    def attached(self, prefix: str, name: str) -> tuple[AttachedClient, ...]:
        """The workers' connections to this queue, sorted by address.

        A Python worker holds two of them.
        """
        encoded = base64.b64encode(name.encode()).decode()
        heads = {f"{prefix}:{encoded}", f"{prefix}:{name}"}
        return tuple(sorted(client for head in heads for client in self.by_name.get(head, ())))


async def list_clients(connection: RedisConnection) -> ClientTable | ClientsUnknown:
    """One CLIENT LIST for all queues; some hosts refuse it, and that is a value, not a failure."""
    try:
        with translated(connection.address):
            if connection.is_cluster:
                answers = await connection.client.client_list(target_nodes="primaries")
                several = answers.values() if isinstance(answers, dict) else [answers]
                rows = [row for node in several for row in node]
            else:
                rows = await connection.client.client_list()
    except QueueReadError as error:
        return ClientsUnknown(error.message)
    return ClientTable(_by_name(rows, connection.database))


def _by_name(
    rows: Iterable[Mapping[str, Any]], database: int
) -> dict[str, tuple[AttachedClient, ...]]:
    """The same queue's name in another database is another queue."""
    table: dict[str, tuple[AttachedClient, ...]] = {}
    for row in rows:
        name = row.get("name") or ""
        if not name or int(row.get("db", 0)) != database:
            continue
        client = AttachedClient(address=row.get("addr", ""), name=name)
        for head in _heads(name):
            table[head] = (*table.get(head, ()), client)
    return table


def _heads(name: str) -> Iterator[str]:
    """The name itself, and what stands before each `:w:` (a worker's name may hold one too)."""
    yield name
    at = name.find(_WORKER)
    while at >= 0:
        yield name[:at]
        at = name.find(_WORKER, at + 1)
