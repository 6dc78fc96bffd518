"""`python -m devcluster.node STATE`: run the process node of one cluster."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from pathlib import Path

from devcluster.node.agent import serve


async def _until_signalled(state: Path) -> None:
    task = asyncio.create_task(serve(state))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    asyncio.run(_until_signalled(Path(sys.argv[1])))
