"""Which BullMQ workers are attached to which queue, by one CLIENT LIST per Redis now and then."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from bullmq_operator.domain.counts import Clients, ClientsUnknown
from bullmq_operator.domain.names import QueueId
from bullmq_operator.observer.ports import Clock
from bullmq_operator.queues.clients import ClientTable, list_clients
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.errors import QueueReadError

GOOD_FOR_S = 2.0
"""CLIENT LIST is megabytes on a busy Redis, and all families of a cold start ask for it. Whoever
attaches or goes within this time is seen at the next look; nothing destructive rests on it."""

_Table = tuple[ClientTable | ClientsUnknown, float]


class Attachments:
    """The last CLIENT LIST of every Redis."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # By client, not by address: another user of the same Redis may be refused CLIENT LIST.
        self._tables: WeakKeyDictionary[object, _Table] = WeakKeyDictionary()
        self._locks: WeakKeyDictionary[object, asyncio.Lock] = WeakKeyDictionary()

    async def of(self, connection: RedisConnection, queue: QueueId) -> Clients:
        """The worker connections that block on a queue."""
        lock = self._locks.setdefault(connection.client, asyncio.Lock())
        async with lock:
            table = await self._table(connection)
        if isinstance(table, ClientsUnknown):
            return table
        return table.attached(queue.prefix, queue.name)

    async def _table(self, connection: RedisConnection) -> ClientTable | ClientsUnknown:
        now = self._clock.monotonic()
        known = self._tables.get(connection.client)
        if known is not None and now - known[1] < GOOD_FOR_S:
            return known[0]
        table: ClientTable | ClientsUnknown
        try:
            table = await list_clients(connection)
        except QueueReadError as failure:
            table = ClientsUnknown(failure.message)
        self._tables[connection.client] = table, self._clock.monotonic()
        return table
