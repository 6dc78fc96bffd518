"""One life of the operator in this process: every call it makes is counted, and it can end at any.

It is put together as the app does it, with the rights of the manifests. The watches are fed from
lists of the administrator's, and the poll is left out, which only reads: so that the calls that are
counted are those of the story.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bullmq_operator.app.core import Core, Memory
from bullmq_operator.clock import Clock
from bullmq_operator.http.metrics import Metrics
from bullmq_operator.kube.client import KubeClient
from bullmq_operator.kube.errors import KubeError
from bullmq_operator.kube.session import JSON, Json, Session
from bullmq_operator.settings import Settings
from tests.chaos.wire import Command, CutError, Wire

LOOK_SECONDS = 0.03
STORY_SECONDS = 60.0


@dataclass
class Fate:
    """Which call, of Kubernetes or Redis, is the last one, or is never answered."""

    killed_before: int = 0
    loses_answer_of: int = 0
    calls: list[str] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def next(self, what: str) -> int:
        """The number of this call."""
        self.calls.append(what)
        if len(self.calls) == self.killed_before:
            self.over.set()
        return len(self.calls)

    def rule(self, wire: Wire) -> None:
        """Over the calls of Redis."""

        def before(_: int, command: Command) -> None:
            self.next(f"redis {command}")
            if self.over.is_set():
                wire.cut()
                raise CutError

        def after(_: int, __: Command) -> None:
            if len(self.calls) == self.loses_answer_of:
                raise CutError

        wire.reset()
        wire.before, wire.after = before, after


class CountedSession(Session):
    """Over the calls of Kubernetes."""

    fate: Fate

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = JSON,
    ) -> Json:
        number = self.fate.next(f"{method} {path}")
        if self.fate.over.is_set():
            await asyncio.Event().wait()  # a killed process does nothing more
        answer = await super().request(
            method, path, query=query, body=body, content_type=content_type
        )
        if number == self.fate.loses_answer_of:
            raise KubeError(f"{method} {path}: no answer in time")
        return answer


@dataclass(frozen=True)
class World:
    """Where it lives."""

    namespace: str
    kubeconfig: Path
    """Of the operator's ServiceAccount."""
    admin: KubeClient
    """To look at everything without being counted."""
    wire: Wire


async def live(world: World, until: Callable[[Json, Json], bool], fate: Fate | None = None) -> bool:
    """A life, until the version and its Deployment are as asked for; False if it was killed."""
    fate = fate or Fate()
    fate.rule(world.wire)
    async with AsyncExitStack() as stack:
        session = await CountedSession.connect({"KUBECONFIG": str(world.kubeconfig)})
        assert isinstance(session, CountedSession)
        session.fate = fate
        stack.push_async_callback(session.close)
        clock = Clock()
        memory = Memory.empty(clock)
        settings = Settings(namespaces=(world.namespace,))
        core = Core.build(
            settings, clock, KubeClient(session), memory, Metrics("test", memory.fleet)
        )
        stack.push_async_callback(core.backends.close)
        return await _until_one_ends(
            _work(core, memory), _watch(world, core, memory, until), fate.over.wait()
        )


async def _until_one_ends(*loops: Any) -> bool:
    tasks = [asyncio.ensure_future(loop) for loop in loops]
    async with asyncio.timeout(STORY_SECONDS):
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    working, watching, killed = tasks
    if killed in done:
        return False
    assert working not in done, working.exception()
    watching.result()
    return True


async def _work(core: Core, memory: Memory) -> None:
    """What a process does when it has started."""
    while True:
        try:
            await core.intake.list_all()
            break
        except KubeError:
            await asyncio.sleep(LOOK_SECONDS)
    for family in memory.cache.families():
        memory.workqueue.add(family)
    await core.reconcilers.run(1)


async def _watch(
    world: World, core: Core, memory: Memory, until: Callable[[Json, Json], bool]
) -> None:
    pods: set[str] = set()
    while True:
        [version] = await world.admin.list_versions(world.namespace)
        [deployment] = await world.admin.list_workloads("Deployment", world.namespace)
        if until(version, deployment):
            return
        if memory.cache.families():
            core.intake.workload_event("MODIFIED", deployment)
            core.intake.version_event("MODIFIED", version)
        now = {pod["metadata"]["name"] for pod in await world.admin.pods(world.namespace, "app")}
        if now != pods:  # looked at once a second by itself, as Pods are not watched
            for family in memory.cache.families():
                memory.workqueue.add(family)
        pods = now
        await asyncio.sleep(LOOK_SECONDS)
