"""The three images that the node runs: the operator's, a BullMQ worker's, and a Pod's sandbox."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from devcluster import npm, tools
from devcluster.build import Say, say
from devcluster.nodetier import buildah
from devcluster.nodetier.buildah import Image, Recipe
from devcluster.paths import HERE, PROJECT_ROOT

OPERATOR = "bullmq-operator:0.1.0"
"""As the manifests name it. Without a host it means the same to every container runtime."""

WORKER = "devcluster/bullmq-worker:v6"
PAUSE = "localhost/bullmq-operator-pause:1"
PAUSE_PROGRAM = Path("/usr/bin/catatonit")
DOCKERFILES = HERE / "nodetier"


def operator_image(report: Say = say) -> Image:
    """The shipped image: the project's Dockerfile and this work tree."""
    sources = (PROJECT_ROOT / ".dockerignore", *operator_sources())
    recipe = Recipe(OPERATOR, PROJECT_ROOT / "Dockerfile", sources, context=PROJECT_ROOT)
    return buildah.build(recipe, report)


def operator_sources() -> Iterator[Path]:
    """What `.dockerignore` lets in: it excludes all, and then names files and folders."""
    for line in (PROJECT_ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            path = PROJECT_ROOT / line[1:]
            files = path.rglob("*") if path.is_dir() else (path,)
            yield from (one for one in files if one.is_file() and one.suffix != ".pyc")


def worker_image(report: Say = say) -> Image:
    """A Node BullMQ worker, with producer.js and jobs.js beside worker.js."""
    lock = npm.PROGRAMS / "package-lock.json"
    sources = (*npm.PROGRAMS.glob("*.js"), tools.node(), lock)
    dockerfile = DOCKERFILES / "worker.Dockerfile"
    return buildah.build(Recipe(WORKER, dockerfile, sources, folders=(npm.node_modules(),)), report)


def pause_image(report: Say = say) -> Image:
    """Holds a Pod's namespaces while its containers come and go."""
    recipe = Recipe(PAUSE, DOCKERFILES / "pause.Dockerfile", (PAUSE_PROGRAM,))
    return buildah.build(recipe, report)


def all_images(report: Say = say) -> Sequence[Image]:
    """Everything that the node must have before it starts. Raises BuildError."""
    return [pause_image(report), operator_image(report), worker_image(report)]
