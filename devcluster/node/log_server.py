"""The kubelet's HTTPS endpoint for `kubectl logs`: `/containerLogs/<namespace>/<pod>/<container>`.

Only the API server may ask: its client certificate is checked against the cluster's CA.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from devcluster.node.pod import Pod

FOLLOW_SECONDS = 0.1
REFUSED = ("timestamps", "sinceTime", "sinceSeconds")
FindPod = Callable[[str, str], Pod | None]
"""(namespace, name) → the Pod that runs here."""


class LogServer:
    """Serves the log files of this node's Pods."""

    def __init__(self, find: FindPod, pki: Path) -> None:
        self._find, self._pki = find, pki
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self, host: str, port: int) -> None:
        """Listen."""
        context = ssl.create_default_context(
            ssl.Purpose.CLIENT_AUTH, cafile=str(self._pki / "ca.crt")
        )
        context.load_cert_chain(self._pki / "kubelet.crt", self._pki / "kubelet.key")
        context.verify_mode = ssl.CERT_REQUIRED
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, ssl_context=context).start()

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        if refused := [name for name in REFUSED if query.get(name) not in (None, "false")]:
            text = f"the process node keeps no time per line: {refused[0]} is not supported"
            raise web.HTTPBadRequest(text=text)
        pod = self._find(request.match_info["namespace"], request.match_info["pod"])
        container = request.match_info["container"]
        previous = query.get("previous") == "true"
        path = pod.log_file(container, previous=previous) if pod else None
        if pod is None or path is None:
            raise web.HTTPNotFound(text=f'container "{container}" does not run on this node')
        if not path.exists():
            which = "previous terminated " if previous else ""
            raise web.HTTPBadRequest(text=f'{which}container "{container}" has no log yet')
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        start = _tail_offset(path, int(query["tailLines"])) if "tailLines" in query else 0
        limit = int(query["limitBytes"]) if "limitBytes" in query else None
        follow = query.get("follow") == "true"
        await _copy(path, start, limit, response, lambda: follow and pod.is_current_log(path))
        return response


async def _copy(
    path: Path,
    start: int,
    limit: int | None,
    response: web.StreamResponse,
    goes_on: Callable[[], bool],
) -> None:
    """Send the file from an offset, and what is added to it while the container runs."""
    left = limit
    with path.open("rb") as file:
        file.seek(start)
        while True:
            last_round = not goes_on()
            while chunk := file.read(65536 if left is None else min(65536, left)):
                await response.write(chunk)
                left = None if left is None else left - len(chunk)
            if last_round or left == 0:
                return
            await asyncio.sleep(FOLLOW_SECONDS)


def _tail_offset(path: Path, lines: int) -> int:
    """Where the last so many lines begin."""
    if lines <= 0:
        return path.stat().st_size
    starts: deque[int] = deque(maxlen=lines)
    position = 0
    with path.open("rb") as file:
        for line in file:
            starts.append(position)
            position += len(line)
    return starts[0] if starts else 0
