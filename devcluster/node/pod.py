"""The life of one Pod on this node, from its binding to its deletion."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from pathlib import Path

from devcluster.node.api import Json, RefusedError
from devcluster.node.container import Container
from devcluster.node.identity import wants_identity
from devcluster.node.launch import PodContext
from devcluster.node.status import (
    TERMINAL_PHASES,
    Conditions,
    ContainerState,
    pod_status,
    timestamp,
)

FORCED_GRACE_SECONDS = 1.0
"""For a Pod whose object is gone already (`kubectl delete --force`)."""
IDENTITY_RETRY_SECONDS = 1.0
log = logging.getLogger("devcluster.node.pod")


class Pod:
    """Runs a Pod. `run` ends when its processes are gone and, if it was deleted, its object too."""

    def __init__(self, context: PodContext) -> None:
        self._context = context
        pod = context.facts.pod
        meta = pod["metadata"]
        self.uid: str = meta["uid"]
        self.pod_ip = context.facts.pod_ip
        self._path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        self._start_time = pod["status"].get("startTime") or timestamp()
        self._conditions = Conditions(pod["status"].get("conditions") or ())
        self._containers = [self._container(spec) for spec in pod["spec"]["containers"]]
        self._deleted = asyncio.Event()
        self._object_gone = False
        self._deadline: float | None = None
        self._finished = False
        self._report_lock = asyncio.Lock()
        self._reported: Json | None = None

    def is_named(self, namespace: str, name: str) -> bool:
        """Whether this is the Pod of that name."""
        meta = self._context.facts.pod["metadata"]
        return bool(meta["namespace"] == namespace and meta["name"] == name)

    def log_file(self, container: str, *, previous: bool = False) -> Path | None:
        """The log of a container's current run (or the one before); None for no such container."""
        for one in self._containers:
            if one.spec["name"] == container:
                restart = one.state.restarts
                if "waiting" in one.state.state and restart > 0:
                    restart -= 1  # between two runs: the one that ended is the current one
                return self._context.log(container, restart - 1 if previous else restart)
        return None

    def is_current_log(self, path: Path) -> bool:
        """Whether this log may still grow."""
        return any(
            "terminated" not in one.state.state and self.log_file(one.spec["name"]) == path
            for one in self._containers
        )

    def delete(self, grace: float) -> None:
        """It was asked to go, with so many seconds from now; later calls can only shorten that."""
        deadline = time.monotonic() + grace
        self._deadline = deadline if self._deadline is None else min(self._deadline, deadline)
        self._deleted.set()

    def object_gone(self) -> None:
        """Its object is gone: end the processes soon, report nothing more."""
        self._object_gone = True
        self.delete(FORCED_GRACE_SECONDS)

    async def run(self) -> None:
        """The whole life."""
        self._context.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._context.logs.mkdir(parents=True, exist_ok=True)
        try:
            await self._live()
        finally:
            for container in self._containers:
                container.kill()
            shutil.rmtree(self._context.folder, ignore_errors=True)
        if self._deleted.is_set() and not self._object_gone:
            await self._delete_object()

    async def _live(self) -> None:
        runs: list[asyncio.Task[None]] = []
        helpers: list[asyncio.Task[None]] = []
        try:
            if await self._prepare():
                helpers.append(asyncio.create_task(self._context.identity.keep_fresh()))
                runs = [asyncio.create_task(one.run()) for one in self._containers]
                await self._until_ended_or_deleted(runs)
            if self._deleted.is_set():
                await self._terminate(runs)
            self._finished = True
            await self._report()
            await self._deleted.wait()  # a finished Pod keeps its object, and its logs
        finally:
            for task in (*runs, *helpers):
                task.cancel()

    async def _until_ended_or_deleted(self, runs: list[asyncio.Task[None]]) -> None:
        ended = asyncio.gather(*runs)
        deleted = asyncio.create_task(self._deleted.wait())
        try:
            waiting: list[asyncio.Future[object]] = [ended, deleted]  # type: ignore[list-item]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                ended.result()  # a bug of ours must show, not hide in a task
        finally:
            deleted.cancel()

    async def _prepare(self) -> bool:
        """Report the address and make the identity; False when it was deleted before that."""
        while not self._deleted.is_set():
            await self._report()
            try:
                if any(wants_identity(one.spec) for one in self._containers):
                    await self._context.identity.prepare()
            except RefusedError as error:  # its ServiceAccount is gone; its namespace may go too
                log.warning("%s: no ServiceAccount token: %s", self._path, error)
                await asyncio.sleep(IDENTITY_RETRY_SECONDS)
            else:
                return True
        return False

    async def _terminate(self, runs: list[asyncio.Task[None]]) -> None:
        stops = [asyncio.create_task(one.stop()) for one in self._containers]
        pending = set(runs)
        while pending and (remaining := self._remaining()) > 0:
            # in small steps: a second deletion may shorten the grace period meanwhile
            _, pending = await asyncio.wait(pending, timeout=min(remaining, 0.2))
        for stop in stops:
            stop.cancel()
        while pending:
            for container in self._containers:
                container.kill()
            _, pending = await asyncio.wait(pending, timeout=0.2)

    def _remaining(self) -> float:
        assert self._deadline is not None
        return self._deadline - time.monotonic()

    async def _delete_object(self) -> None:
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
        await self._context.api.call("DELETE", self._path, body, absent=(404, 409))

    async def _report(self) -> None:
        """Write the status; what changes while a write is under way goes into the next one."""
        async with self._report_lock:
            if self._object_gone:
                return
            status = pod_status(
                [one.state for one in self._containers],
                self._conditions,
                finished=self._finished,
                pod_ip=self.pod_ip,
                host_ip=self._context.facts.host_ip,
                start_time=self._start_time,
            )
            if status == self._reported:
                return
            self._reported = status
            patch = {"metadata": {"uid": self.uid}, "status": status}
            await self._context.api.merge_patch(f"{self._path}/status", patch)

    def _container(self, spec: Json) -> Container:
        """A container that ran before (the node was restarted) counts one restart more."""
        state = ContainerState(spec["name"], spec["image"])
        for old in self._context.facts.pod["status"].get("containerStatuses") or ():
            if old["name"] == spec["name"] and "waiting" not in old["state"]:
                state.restarts = old["restartCount"] + 1
        return Container(self._context, spec, state, self._report)


def is_finished(pod: Json) -> bool:
    """Whether a Pod has nothing left to run."""
    return pod["status"].get("phase") in TERMINAL_PHASES
