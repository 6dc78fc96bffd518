"""The HTTP server of probes and metrics. It starts before all else, so that a probe always gets
an answer: a standby, or a process that waits for the API server, is alive too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from bullmq_operator.http.metrics import Metrics

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_GOODBYE_SECONDS = 1.0
"""How long a running scrape may hold up the end of the process."""


@dataclass(frozen=True, slots=True)
class Probes:
    """Each gives None for yes, or the reason why not, for a person."""

    alive: Callable[[], str | None]
    ready: Callable[[], str | None]


class AddressInUseError(Exception):
    """The HTTP port can't be listened on."""


@asynccontextmanager
async def serving(host: str, port: int, probes: Probes, metrics: Metrics) -> AsyncIterator[int]:
    """Serve /healthz, /readyz and /metrics; gives the port, which port 0 leaves to the system."""
    runner = web.AppRunner(
        _application(probes, metrics), access_log=None, shutdown_timeout=_GOODBYE_SECONDS
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            message = f"can't listen on {host}:{port}: {error.strerror or error}"
            raise AddressInUseError(message) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _application(probes: Probes, metrics: Metrics) -> web.Application:
    async def healthz(_: web.Request) -> web.Response:
        return _answer(probes.alive())

    async def readyz(_: web.Request) -> web.Response:
        return _answer(probes.ready())

    async def exposition(_: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), headers={"Content-Type": _CONTENT_TYPE})

    application = web.Application()
    application.add_routes(
        [
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            web.get("/metrics", exposition),
        ]
    )
    return application


def _answer(problem: str | None) -> web.Response:
    if problem is None:
        return web.Response(text="ok\n")
    return web.Response(status=503, text=f"{problem}\n")
