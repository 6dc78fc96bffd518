"""From a container's manifest to a running process."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from devcluster import npm, tools
from devcluster.node import environment, identity, probes, volumes
from devcluster.node.api import Api, Json
from devcluster.node.environment import PodFacts, UnsupportedError
from devcluster.node.identity import Identity
from devcluster.node.images import NO_IMAGE, Catalogue, Image, ImageUnknownError
from devcluster.paths import HERE, PROJECT_ROOT
from devcluster.supervisor import die_with


@dataclass(frozen=True, slots=True)
class PodContext:
    """What the containers of one Pod share."""

    api: Api
    catalogue: Catalogue
    facts: PodFacts
    identity: Identity
    folder: Path
    """Private, gone with the Pod."""
    logs: Path
    """Kept until the cluster stops: a failed test wants to see them."""

    def log(self, container: str, restart: int) -> Path:
        """The output of one run of a container."""
        return self.logs / f"{container}.{restart}.log"


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything that is needed to start a process."""

    argv: list[str]
    environment: Mapping[str, str]
    cwd: str

    async def start(self, log: Path) -> Process:
        """Start it in a process group of its own; it dies with the node. Raises OSError."""
        with log.open("ab") as output:
            return await asyncio.create_subprocess_exec(
                *self.argv,
                env=dict(self.environment),
                cwd=self.cwd,
                stdin=DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with(os.getpid()),
            )


async def prepare(context: PodContext, container: Json) -> Launch:
    """Resolve image, environment and command line.

    Raises ImageUnknownError, ConfigError or UnsupportedError, which the Pod's status tells.
    """
    image = _image(context, container)
    check_supported(context.facts.pod["spec"], container)
    temporary = volumes.temporary_folder(context.facts.pod, container, context.folder)
    places = await _places(context, image)
    own = await environment.pod_environment(context.api, container, context.facts)
    full = environment.base_environment(context.facts, str(context.folder))
    if image.needs_programs:
        full["NODE_PATH"] = places["modules"]
    full |= {name: _fill(value, places) for name, value in image.env.items()}
    if temporary:
        full["TMPDIR"] = str(temporary)
    if identity.wants_identity(container):
        full["KUBECONFIG"] = str(context.identity.kubeconfig)
    argv = [_fill(word, places) for word in environment.command_line(container, image, own)]
    cwd = container.get("workingDir") or image.workdir or str(context.folder)
    return Launch(argv, full | own, cwd)


def check_supported(spec: Json, container: Json) -> None:
    """Raise UnsupportedError for what this node would have to leave out silently."""
    if spec.get("initContainers"):
        raise UnsupportedError("the process node runs no init containers")
    if "postStart" in container.get("lifecycle", {}):
        raise UnsupportedError("the process node runs no postStart hooks (preStop it does)")
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        if name in container and not probes.KINDS & set(container[name]):
            raise UnsupportedError(f"{name}: the process node knows {sorted(probes.KINDS)} only")


def _image(context: PodContext, container: Json) -> Image:
    try:
        return context.catalogue.find(container["image"])
    except ImageUnknownError:
        if container.get("command"):
            return NO_IMAGE
        raise


async def _places(context: PodContext, image: Image) -> dict[str, str]:
    places = {
        "python": str(tools.python()),
        "node": str(tools.node()),
        "root": str(PROJECT_ROOT),
        "programs": str(HERE / "programs"),
        "pod_ip": context.facts.pod_ip,
    }
    if image.needs_programs:
        places["modules"] = str(await asyncio.to_thread(npm.node_modules))
    return places


def _fill(text: str, places: Mapping[str, str]) -> str:
    for name, value in places.items():
        text = text.replace(f"{{{name}}}", value)
    return text
