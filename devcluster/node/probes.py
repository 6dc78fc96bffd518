"""Probes: httpGet, tcpSocket and exec, with the thresholds of Kubernetes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import aiohttp

from devcluster.node.api import Json

KINDS = frozenset({"httpGet", "tcpSocket", "exec"})
EAGER_SECONDS = 0.2
"""Until a probe first succeeds it is asked this often: a real kubelet keeps to `periodSeconds`,
which would only make tests wait.
"""


@dataclass(frozen=True, slots=True)
class Target:
    """What is probed."""

    pod_ip: str
    container: Json
    environment: Mapping[str, str]
    cwd: str

    def port(self, value: int | str) -> int:
        """A port by number, or by name from the container's `ports`."""
        for port in self.container.get("ports") or ():
            if port.get("name") == value:
                return int(port["containerPort"])
        return int(value)


async def watch(probe: Json, target: Target, on_change: Callable[[bool], Awaitable[None]]) -> None:
    """Probe for ever; tell the first result that passes a threshold, and each change of it."""
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    period = probe.get("periodSeconds", 10)
    needed = {True: probe.get("successThreshold", 1), False: probe.get("failureThreshold", 3)}
    verdict: bool | None = None
    last, run = False, 0
    while True:
        result = await attempt(probe, target)
        run = run + 1 if result == last else 1
        last = result
        if result != verdict and run >= needed[result]:
            verdict = result
            await on_change(verdict)
        await asyncio.sleep(period if verdict is not None else min(period, EAGER_SECONDS))


async def run_hook(hook: Json, target: Target) -> None:
    """A preStop hook: like a probe whose result nobody asks for, or a sleep."""
    if "sleep" in hook:
        await asyncio.sleep(hook["sleep"]["seconds"])
    else:
        await attempt({**hook, "timeoutSeconds": None}, target)


async def attempt(probe: Json, target: Target) -> bool:
    """One try within `timeoutSeconds`; any failure is False."""
    with contextlib.suppress(OSError, aiohttp.ClientError, TimeoutError, ValueError):
        async with asyncio.timeout(probe.get("timeoutSeconds", 1)):
            if http := probe.get("httpGet"):
                return await _http(http, target)
            if tcp := probe.get("tcpSocket"):
                host = tcp.get("host") or target.pod_ip
                _, writer = await asyncio.open_connection(host, target.port(tcp["port"]))
                writer.close()
                return True
            return await _exec(probe["exec"]["command"], target)
    return False


async def _http(http: Json, target: Target) -> bool:
    scheme, host = http.get("scheme", "HTTP").lower(), http.get("host") or target.pod_ip
    url = f"{scheme}://{host}:{target.port(http['port'])}{http.get('path', '/')}"
    headers = {one["name"]: one["value"] for one in http.get("httpHeaders") or ()}
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, headers=headers, allow_redirects=False, ssl=False) as response,
    ):
        return 200 <= response.status < 400


async def _exec(command: list[str], target: Target) -> bool:
    process = await asyncio.create_subprocess_exec(
        *command,
        env=dict(target.environment),
        cwd=target.cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        return await process.wait() == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
