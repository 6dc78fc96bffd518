"""The master behind Redis Sentinel, asked for again and again: it may move at any time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.sentinel import SentinelConnectionPool, SentinelManagedConnection

from bullmq_operator.domain.counts import UnknownReason
from bullmq_operator.queues.errors import QueueReadError, translated
from bullmq_operator.queues.tls import TlsConnection

Address = tuple[str, int]

REST_SECONDS: Final = 15.0
"""For so long a sentinel that did not answer is not asked, while others do."""
LOGIN: Final = "spec.redis.sentinel.passwordFrom"


class Sentinels:
    """All sentinels of one master. The pool asks it wherever redis-py's own Sentinel would be."""

    def __init__(self, clients: Sequence[Redis], where: str) -> None:
        """`where`: their addresses, for messages."""
        self._clients = clients
        self._where = where
        self._rests_until: dict[int, float] = {}

    async def discover_master(self, name: str) -> Address:
        """Where the master is now. Raises QueueReadError.

        All are asked, and the newest configuration wins: a sentinel that was cut off would still
        name the master of before.
        """
        asked = self._awake()
        questions = (self._ask(self._clients[number], name) for number in asked)
        answers = await asyncio.gather(*questions, return_exceptions=True)
        self._let_rest(asked, answers)
        states = [answer for answer in answers if not isinstance(answer, BaseException)]
        if not states:
            raise next(answer for answer in answers if isinstance(answer, BaseException))
        newest = max(states, key=lambda state: int(state.get("config-epoch", 0)))
        if newest.get("is_sdown") or newest.get("is_odown"):
            raise QueueReadError(
                UnknownReason.UNREACHABLE,
                f'The sentinels at {self._where} see no living master "{name}" at the moment; they '
                "are asked again.",
            )
        return str(newest["ip"]), int(newest["port"])

    def _awake(self) -> list[int]:
        """Numbers of the sentinels to ask: all of them where none is known to answer."""
        now = asyncio.get_running_loop().time()
        everyone = range(len(self._clients))
        return [n for n in everyone if self._rests_until.get(n, 0.0) <= now] or list(everyone)

    def _let_rest(self, asked: Sequence[int], answers: Sequence[object]) -> None:
        """One that is away costs the whole timeout each time: a lost node's address is silent."""
        now = asyncio.get_running_loop().time()
        for number, answer in zip(asked, answers, strict=True):
            away = isinstance(answer, QueueReadError)
            self._rests_until[number] = now + REST_SECONDS if away else 0.0

    async def close(self) -> None:
        """Drop the connections to all sentinels."""
        for client in self._clients:
            with translated(self._where):
                await client.aclose()

    async def _ask(self, client: Redis, name: str) -> Mapping[str, Any]:
        try:
            with translated(self._where, what="Sentinel", login=LOGIN):
                state: Any = await client.sentinel_master(name)
        except QueueReadError as failure:
            if "NO SUCH MASTER" in str(failure.__cause__).upper():
                raise QueueReadError(
                    UnknownReason.BAD_URL,
                    f'The sentinels at {self._where} know no master "{name}"; correct '
                    "spec.redis.sentinel.masterName.",
                ) from failure
            raise
        found: Mapping[str, Any] = state
        return found


class _MasterConnection(SentinelManagedConnection):
    """One that ends where the server is no master (any more): its counts may lie behind."""

    async def connect_to(self, address: Address) -> None:
        await super().connect_to(address)  # type: ignore[no-untyped-call]
        try:
            await self.send_command("INFO", "replication")
            answer = await self.read_response()
        except BaseException:
            await self.disconnect()
            raise
        text = answer.decode() if isinstance(answer, bytes) else str(answer)
        if "role:slave" in text:
            await self.disconnect()
            raise QueueReadError(
                UnknownReason.UNREACHABLE,
                f"The sentinels name {address[0]}:{address[1]} as master, and it is a replica: "
                "a fail-over is under way; it is asked again.",
            )


class _MasterTlsConnection(_MasterConnection, TlsConnection):
    """The same with TLS."""


class MasterPool(SentinelConnectionPool, BlockingConnectionPool):
    """Connections to the master. redis-py's own pool of the kind fails where this one waits."""

    def __init__(self, name: str, sentinels: Sentinels, *, tls: bool, **options: Any) -> None:
        kind = _MasterTlsConnection if tls else _MasterConnection
        super().__init__(name, sentinels, connection_class=kind, **options)  # type: ignore[no-untyped-call]

    async def confirm(self) -> None:
        """Raises QueueReadError where the master has moved since the connections were made.

        An old master that only the sentinels have lost goes on answering over connections of
        before: what it was asked last may not be so.
        """
        before = self.master_address
        now = await self.get_master_address()  # type: ignore[no-untyped-call]
        if before is not None and before != now:
            raise QueueReadError(
                UnknownReason.UNREACHABLE,
                f"Redis failed over from {before[0]}:{before[1]} to {now[0]}:{now[1]} while it was "
                "read; it is asked again.",
            )

    async def close(self) -> None:
        """Drop the connections to the master and to the sentinels."""
        await self.aclose()
        await self.sentinel_manager.close()
