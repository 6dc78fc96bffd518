"""One replica, from its start to its end.

    HTTP ─▶ API server ─▶ Lease ─▶ lists ─▶ reconcilers, poll, resync ─▶ watches (kopf)

A standby waits at the Lease: it holds no watches and reads no Redis. Stopping goes backwards; the
Lease is given back last, when nothing of ours runs any more.
"""

from __future__ import annotations

import asyncio
import enum
import os
import signal
import socket
from collections.abc import Awaitable, Iterable
from contextlib import AsyncExitStack, suppress
from importlib.metadata import version

import structlog

from bullmq_operator.app.core import Core, Memory
from bullmq_operator.clock import Clock
from bullmq_operator.domain.names import FamilyKey
from bullmq_operator.engine.resync import resync_for_ever
from bullmq_operator.engine.supervise import LoopEndedError, Supervisor
from bullmq_operator.handlers import watch_for_ever
from bullmq_operator.http.metrics import Metrics
from bullmq_operator.http.server import AddressInUseError, Probes, serving
from bullmq_operator.kube.client import KubeClient
from bullmq_operator.kube.errors import KubeError, NotFoundError
from bullmq_operator.kube.lease import Lease
from bullmq_operator.settings import Settings

RECONCILERS = 16
"""Families looked at side by side: a pass mostly waits for Redis and the API server."""

_LIST_RETRY_SECONDS = 2.0
_CRD_HINT = "the CRD of QueueVersions is not installed: kubectl apply -f crds"
_STANDBY_LOOK_SECONDS = 1.0
_PASSES_END_SECONDS = 2.0
"""At SIGTERM, passes that run may end; then they are cancelled, which is as safe as a crash."""
_WATCHES_END_SECONDS = 1.0
_RELEASE_SECONDS = 1.0
_BEATS_MISSED = 60
_BEAT_LEAST_SECONDS = 60.0
"""A poll that began no beat for so long hangs: /healthz says so, and the kubelet restarts us."""

_log = structlog.stdlib.get_logger("bullmq_operator")


class FatalError(Exception):
    """The process must end; one line says why."""


class Stage(enum.Enum):
    """How far the start has come; the value is what /readyz says of it."""

    CONNECTING = "the API server was not asked yet"
    ELECTING = "the Lease is not held yet"
    LISTING = "not everything is listed yet"
    WATCHING = "the watches are not open yet"
    WORKING = "at work"
    STOPPING = "stopping"


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises FatalError."""
    try:
        async with AsyncExitStack() as stack:
            await Process(settings, Clock(), stack).run()
    except (KubeError, AddressInUseError, LoopEndedError) as error:
        raise FatalError(str(error)) from error


class Process:
    """The stages, and what probes may ask meanwhile."""

    def __init__(self, settings: Settings, clock: Clock, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._clock = clock
        self._stack = stack
        self._memory = Memory.empty(clock)
        self._supervisor = Supervisor()
        self._stop = asyncio.Event()
        self._stage = Stage.CONNECTING
        self._problem: str | None = None
        self._lease: Lease | None = None
        self._core: Core | None = None

    async def run(self) -> None:
        """Raises FatalError and the errors that `run` above turns into it."""
        self._take_signals()
        settings = self._settings
        metrics = Metrics(version("bullmq-operator"), self._memory.fleet)
        probes = Probes(self.alive, self.ready)
        server = serving(settings.http_host, settings.http_port, probes, metrics)
        port = await self._stack.enter_async_context(server)
        _log.info("starting", version=version("bullmq-operator"), http_port=port)
        kube = await KubeClient.connect()
        self._stack.push_async_callback(kube.close)
        self._lease = lease = self._new_lease(kube)
        self._stage = Stage.ELECTING
        try:
            await self._first_of(lease.acquire(), self._tell_why_not(lease))
            if lease.is_held:
                _log.info("holds the Lease", namespace=settings.lease_namespace)
                core = Core.build(settings, self._clock, kube, self._memory, metrics)
                await self._lead(lease, core)
        finally:
            self._stage = Stage.STOPPING
            with suppress(TimeoutError):
                async with asyncio.timeout(_RELEASE_SECONDS):
                    await lease.release()
        _log.info("stopped")

    def alive(self) -> str | None:
        """None, or what hangs."""
        if not self._supervisor.alive:
            return "a loop has ended"
        beat = self._core.poller.last_beat if self._core is not None else None
        if self._stage is not Stage.WORKING or beat is None:
            return None
        patience = self._settings.poll_interval.total_seconds() * _BEATS_MISSED
        if self._clock.monotonic() - beat > max(patience, _BEAT_LEAST_SECONDS):
            return "the poll hangs"
        return None

    def ready(self) -> str | None:
        """None for one at work and for one that stands by for another; else what is missing."""
        if self._stage is Stage.WORKING:
            return None
        if self._stage is Stage.ELECTING and self._lease is not None:
            if self._lease.other_holder is not None and self._lease.problem is None:
                return None
            problem = self._lease.problem or "just started"
            return f"{self._stage.value}: {problem}"
        return f"{self._stage.value}: {self._problem}" if self._problem else str(self._stage.value)

    async def _tell_why_not(self, lease: Lease) -> None:
        """Log for whom we stand by, or why the Lease can't be had, whenever that changes."""
        told: tuple[str | None, str | None] = None, None
        while True:
            found = lease.other_holder, lease.problem
            if found != told and found[1] is not None:
                _log.warning("can't get the Lease; trying again", error=found[1])
            elif found != told:
                _log.info("stands by", holder=found[0])
            told = found
            await asyncio.sleep(_STANDBY_LOOK_SECONDS)

    async def _lead(self, lease: Lease, core: Core) -> None:
        """Everything that only the holder of the Lease does."""
        self._core = core
        self._stack.push_async_callback(core.backends.close)
        self._supervisor.start({"Lease": lease.hold()})
        close_watches = asyncio.Event()
        watching: asyncio.Task[None] | None = None
        try:
            self._stage = Stage.LISTING
            await self._first_of(self._list_until_done(core), lease.lost.wait())
            if self._stage is Stage.WATCHING:
                self._start_loops(core)
                opened, scopes = asyncio.Event(), self._settings.namespaces
                watches = watch_for_ever(core.intake, scopes, opened, close_watches)
                watching = asyncio.create_task(watches, name="watches")
                await self._work(lease, watching, opened)
            # Asked before the end, which gives the Lease up; an error on the way is told as it is.
            if lease.lost.is_set() and not self._stop.is_set():
                raise FatalError("the Lease was lost: another replica may be at work by now")
        finally:
            self._stage = Stage.STOPPING
            await self._wind_down(watching, close_watches)

    async def _work(
        self, lease: Lease, watching: asyncio.Task[None], opened: asyncio.Event
    ) -> None:
        ended, lost = self._supervisor.ended, lease.lost
        await self._first_of(opened.wait(), watching, ended, lost.wait())
        self._take_signals()  # kopf took them for itself
        if opened.is_set() and not watching.done():
            self._stage = Stage.WORKING
            _log.info("at work", families=len(self._memory.cache.families()))
            await self._first_of(watching, ended, lost.wait())
        if self._stop.is_set() or lost.is_set():
            return
        if ended.done():
            raise ended.result()
        # A kopf that gives up cancels what was started after it, our wait included; then its own
        # end comes a moment later.
        await asyncio.wait([watching], timeout=_WATCHES_END_SECONDS)
        if not watching.done():
            raise FatalError("the wait for the watches ended before they did")
        if (error := watching.exception()) is not None:
            raise FatalError(f"the watches ended: {error}") from error
        self._stop.set()  # kopf returns by itself only for a signal that it got in our place

    def _start_loops(self, core: Core) -> None:
        for family in self._memory.cache.families():
            self._memory.workqueue.add(family)
        self._supervisor.start(
            {
                "reconcilers": core.reconcilers.run(RECONCILERS),
                "poll": core.poller.run(),
                "hints": core.hints.run(),
                "resync": resync_for_ever(
                    lambda: self._list_families(core),
                    self._memory.workqueue,
                    self._settings.resync_interval.total_seconds(),
                    self._clock.fraction,
                    lambda error: _log.warning("could not list everything", error=str(error)),
                ),
            }
        )

    async def _list_until_done(self, core: Core) -> None:
        while True:
            try:
                await core.intake.list_all()
            except KubeError as error:
                problem = (
                    f"{_CRD_HINT} ({error})" if isinstance(error, NotFoundError) else str(error)
                )
                if problem != self._problem:
                    _log.error("can't list; trying again", error=problem)
                self._problem = problem
                await asyncio.sleep(_LIST_RETRY_SECONDS)
            else:
                self._problem = None
                self._stage = Stage.WATCHING
                return

    async def _list_families(self, core: Core) -> Iterable[FamilyKey]:
        await core.intake.list_all()
        return self._memory.cache.families()

    async def _wind_down(
        self, watching: asyncio.Task[None] | None, close_watches: asyncio.Event
    ) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_PASSES_END_SECONDS):
                await self._memory.workqueue.close()
        await self._supervisor.stop()
        close_watches.set()
        if watching is not None:
            await asyncio.wait([watching], timeout=_WATCHES_END_SECONDS)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _first_of(self, *awaitables: Awaitable[object]) -> None:
        """Wait until one of them is over, or we are told to stop. Our own waits are cancelled,
        tasks and futures of others are not."""
        given = [a for a in awaitables if isinstance(a, asyncio.Future)]
        own = [asyncio.ensure_future(a) for a in awaitables if not isinstance(a, asyncio.Future)]
        own.append(asyncio.ensure_future(self._stop.wait()))
        try:
            await asyncio.wait([*given, *own], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for future in own:
                future.cancel()
            results = await asyncio.gather(*own, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)

    def _new_lease(self, kube: KubeClient) -> Lease:
        settings = self._settings
        return Lease(
            kube,
            settings.lease_namespace,
            settings.lease_name,
            _identity(),
            settings.lease_duration.total_seconds(),
            now=self._clock.now,
        )


def _identity() -> str:
    """The Pod's name; elsewhere one that no other process has."""
    return os.environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}"
