"""A Redis Cluster: its client, which nodes there are, and what must be the same on all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from redis import exceptions as vendor
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.crc import key_slot

from bullmq_operator.domain.counts import UnknownReason
from bullmq_operator.queues.errors import QueueReadError, translated
from bullmq_operator.queues.tls import TlsConnection

T = TypeVar("T")

AT_ONCE: Final = 8
"""Commands under way at a time, over all nodes."""
CONNECTIONS_PER_NODE: Final = 64
"""More than can be needed: redis-py fails where it should wait for one. Pipelines are not counted
in AT_ONCE."""
_GONE: Final = (
    vendor.ConnectionError,
    vendor.TimeoutError,
    vendor.RedisClusterException,
    OSError,
)
"""Failures of a node, rather than of one command on it."""


class ClusterClient(RedisCluster):
    """redis-py's client, which waits its turn, and trusts the authorities that were named."""

    def __init__(self, host: str, port: int, **options: Any) -> None:
        super().__init__(
            host=host,
            port=port,
            max_connections=CONNECTIONS_PER_NODE,
            require_full_coverage=False,  # a lost node is no reason not to read the others
            **options,
        )
        self._turns = asyncio.Semaphore(AT_ONCE)
        if options.get("ssl"):
            self.connection_kwargs["connection_class"] = TlsConnection
            for node in self.startup_nodes:
                node.connection_class = TlsConnection

    async def execute_command(self, *arguments: Any, **options: Any) -> Any:
        async with self._turns:
            return await super().execute_command(*arguments, **options)


def slot_of(base: str) -> int | None:
    """The slot of all keys of a queue, by the hash tag of its prefix or name; None without one.

    The tag is what stands between the first `{` and the next `}`, if that is anything.
    """
    _, opened, rest = base.partition("{")
    tag, closed, _ = rest.partition("}")
    return int(key_slot(tag.encode())) if opened and closed and tag else None


def untagged(base: str, address: str) -> QueueReadError:
    """For a queue whose keys would be on several nodes: BullMQ can't work there either."""
    return QueueReadError(
        UnknownReason.WRONG_TOPOLOGY,
        f"Redis {address} is a Cluster, where queue {base.rstrip(':')} needs a hash tag so that "
        'all its keys are on one node: prefix "{bull}", or one in queueName; BullMQ must be given '
        "the same.",
    )


async def for_each_base(
    client: ClusterClient, address: str, bases: Sequence[str], call: Callable[[int], Awaitable[T]]
) -> list[T | QueueReadError]:
    """`call` for the number of each base; queues of a lost node share its first failure, so that
    they don't each wait for the same timeout. Raises QueueReadError when no node answers.
    """
    with translated(address):
        await client.initialize()
    pending = deque(range(len(bases)))
    results: dict[int, T | QueueReadError] = {}
    lost: dict[str, QueueReadError] = {}

    async def work() -> None:
        while pending:
            number = pending.popleft()
            node = owner_of(client, bases[number])
            if node in lost:
                results[number] = lost[node]
                continue
            try:
                with translated(address):
                    results[number] = await call(number)
            except QueueReadError as failure:
                results[number] = failure
                if isinstance(failure.__cause__, _GONE):
                    lost[node] = failure

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(AT_ONCE, len(bases))):
            tasks.create_task(work())
    return [results[number] for number in range(len(bases))]


def owner_of(client: ClusterClient, base: str) -> str:
    """The node that a queue is on as far as is known; "" where its slot is nobody's."""
    try:
        node = client.get_node_from_key(f"{base}meta")
    except vendor.SlotNotCoveredError:
        return ""
    return node.name if node is not None else ""


async def each_primary(client: ClusterClient, address: str) -> list[Mapping[str, Any]]:
    """INFO of every primary that answers. Raises QueueReadError when none does."""
    with translated(address):
        await client.initialize()
        primaries = client.get_primaries()
    answers = await asyncio.gather(
        *(_info(client, node, address) for node in primaries), return_exceptions=True
    )
    found = [answer for answer in answers if not isinstance(answer, BaseException)]
    for answer in answers:
        unexpected = isinstance(answer, BaseException) and not isinstance(answer, QueueReadError)
        if isinstance(answer, BaseException) and (unexpected or not found):
            raise answer
    return found


async def _info(client: ClusterClient, node: ClusterNode, address: str) -> Mapping[str, Any]:
    with translated(address):
        answer: Mapping[str, Any] = await client.info(target_nodes=node)
    return answer
