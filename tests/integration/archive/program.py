"""python -m tests.integration.archive.program REDIS_URL FOLDER: archives the queue once.

For tests that kill it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import redis

from bullmq_operator.queues.connection import ConnectionSettings, connect
from tests.integration.archive.support import Shelf


async def main(url: str, folder: str) -> None:
    """Archive the queue."""
    connection = connect(ConnectionSettings(url=url))
    with redis.Redis.from_url(url, decode_responses=True) as raw:
        await Shelf(url, raw, connection, Path(folder)).archive()
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
