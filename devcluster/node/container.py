"""The life of one container: start, probe, restart with back-off, stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable

from devcluster.node import launch, probes
from devcluster.node.api import Json
from devcluster.node.environment import ConfigError, UnsupportedError
from devcluster.node.images import ImageUnknownError
from devcluster.node.launch import Launch, PodContext
from devcluster.node.status import ContainerState, terminated, timestamp

RESTART_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""The kubelet waits 10 s, 20 s, … 300 s; the same story in less of a test's time."""
FORGIVEN_AFTER_SECONDS = 60.0
"""A container that ran this long starts the back-off anew (kubelet: 10 min)."""
CONFIG_RETRY_SECONDS = 1.0
MESSAGE_BYTES = 2048


class Container:
    """Runs one container of a Pod until it is stopped, or done by its restart policy."""

    def __init__(
        self,
        context: PodContext,
        spec: Json,
        state: ContainerState,
        on_change: Callable[[], Awaitable[None]],
    ) -> None:
        self.spec, self.state = spec, state
        self._context, self._on_change = context, on_change
        self._policy = context.facts.pod["spec"].get("restartPolicy", "Always")
        self._grace = context.facts.pod["spec"].get("terminationGracePeriodSeconds", 30)
        self._stop = asyncio.Event()
        self._process: Process | None = None
        self._target: probes.Target | None = None
        self._crashes = 0

    async def run(self) -> None:
        """Returns when the container will not be started again."""
        while not self._stop.is_set():
            prepared = await self._prepare()
            if prepared is None:
                await self._pause(CONFIG_RETRY_SECONDS)
                continue
            if self._stop.is_set():
                break
            began = time.monotonic()
            end = await self._run_once(prepared)
            code = end["terminated"]["exitCode"]
            ended_for_good = self._policy == "Never" or (self._policy == "OnFailure" and code == 0)
            if ended_for_good or self._stop.is_set():
                return
            if time.monotonic() - began > FORGIVEN_AFTER_SECONDS:
                self._crashes = 0
            await self._back_off(end)
        if "terminated" not in self.state.state:  # stopped before it ran, or between two runs
            self.state.state = self.state.last or terminated(137, timestamp(), "NeverStarted")
            await self._on_change()

    async def stop(self) -> None:
        """The preStop hook, then SIGTERM to the main process, as a container runtime does; no
        restart after that.
        """
        self._stop.set()
        await self._terminate()

    def kill(self) -> None:
        """SIGKILL to the whole process group."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _prepare(self) -> Launch | None:
        try:
            return await launch.prepare(self._context, self.spec)
        except ImageUnknownError as error:
            shown = self.state.state.get("waiting", {}).get("reason")
            reason = "ImagePullBackOff" if shown == "ErrImagePull" else "ErrImagePull"
            await self._wait_because(reason, str(error))
        except ConfigError as error:
            await self._wait_because("CreateContainerConfigError", str(error))
        except UnsupportedError as error:
            await self._wait_because("CreateContainerError", str(error))
        return None

    async def _run_once(self, prepared: Launch) -> Json:
        """One run of the process, from start to a `terminated` state."""
        log = self._context.log(self.spec["name"], self.state.restarts)
        began = timestamp()
        try:
            self._process = await prepared.start(log)
        except OSError as error:
            end = terminated(128, began, "StartError", str(error))
        else:
            code = await self._watch(self._process, prepared, began)
            end = terminated(code, began, message=self._message(code))
        self.state.ready = self.state.started = False
        self.state.state = end
        await self._on_change()
        return end

    async def _watch(self, process: Process, prepared: Launch, began: str) -> int:
        """Probe the process until it ends; its exit code."""
        if self._stop.is_set():  # asked to stop while it was being started
            process.terminate()
        self.state.state = {"running": {"startedAt": began}}
        self.state.started = "startupProbe" not in self.spec
        self.state.ready = self.state.started and "readinessProbe" not in self.spec
        await self._on_change()
        self._target = probes.Target(
            self._context.facts.pod_ip, self.spec, prepared.environment, prepared.cwd
        )
        async with asyncio.TaskGroup() as group:
            probing = group.create_task(self._probe(self._target))
            code = await process.wait()
            probing.cancel()
        self.kill()  # what it left behind in its group
        self._process = None  # its pid may be another's soon
        return code

    async def _back_off(self, end: Json) -> None:
        delay = RESTART_SECONDS[min(self._crashes, len(RESTART_SECONDS) - 1)]
        self._crashes += 1
        self.state.last = end
        self.state.restarts += 1
        name = self.spec["name"]
        await self._wait_because(
            "CrashLoopBackOff", f"back-off {delay:g}s restarting failed container={name}"
        )
        await self._pause(delay)

    async def _wait_because(self, reason: str, message: str) -> None:
        waiting = {"waiting": {"reason": reason, "message": message}}
        if waiting != self.state.state:
            self.state.state = waiting
            await self._on_change()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    async def _probe(self, target: probes.Target) -> None:
        """Startup first; then readiness and liveness side by side."""
        if startup := self.spec.get("startupProbe"):
            await self._await_startup(startup, target)
        async with asyncio.TaskGroup() as group:
            if readiness := self.spec.get("readinessProbe"):
                group.create_task(probes.watch(readiness, target, self._set_ready))
            if liveness := self.spec.get("livenessProbe"):
                group.create_task(probes.watch(liveness, target, self._set_alive))

    async def _await_startup(self, probe: Json, target: probes.Target) -> None:
        started = asyncio.Event()

        async def on_result(passed: bool) -> None:
            if passed:
                started.set()
            else:
                await self._set_alive(False)

        watcher = asyncio.create_task(probes.watch(probe, target, on_result))
        try:
            await started.wait()
        finally:
            watcher.cancel()
        self.state.started = True
        self.state.ready = "readinessProbe" not in self.spec
        await self._on_change()

    async def _set_ready(self, ready: bool) -> None:
        if ready != self.state.ready:
            self.state.ready = ready
            await self._on_change()

    async def _set_alive(self, alive: bool) -> None:
        """A failed liveness or startup probe: SIGTERM, the grace period, SIGKILL."""
        if not alive:
            await self._terminate()
            await asyncio.sleep(self._grace)
            self.kill()

    async def _terminate(self) -> None:
        process, target = self._process, self._target
        if process is None or process.returncode is not None:
            return
        if target is not None and (hook := self.spec.get("lifecycle", {}).get("preStop")):
            await probes.run_hook(hook, target)
        with contextlib.suppress(ProcessLookupError):
            process.terminate()

    def _message(self, code: int) -> str:
        policy = self.spec.get("terminationMessagePolicy", "File")
        log = self._context.log(self.spec["name"], self.state.restarts)
        if policy != "FallbackToLogsOnError" or code == 0 or not log.exists():
            return ""
        return log.read_bytes()[-MESSAGE_BYTES:].decode(errors="replace")
