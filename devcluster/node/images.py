"""The catalogue: what an image name runs here, since there are no images.

One file in devcluster/images/ per image repository; registry and digest are ignored. What a tag
says goes before what its repository says.
Placeholders: {python}, {node}, {root}, {programs}, {pod_ip}.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

CATALOGUE = Path(__file__).resolve().parents[1] / "images"
DEFAULT_TAG = "latest"


class ImageUnknownError(Exception):
    """No such image here; the text lists those that there are."""


@dataclass(frozen=True, slots=True)
class Image:
    """What a container runtime would read from an image's config."""

    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str | None = None
    needs_programs: bool = False
    """Whether the BullMQ programs' npm packages must be installed first."""


NO_IMAGE = Image()


def repository_and_tag(reference: str) -> tuple[str, str]:
    """`registry.example/team/app:v1@sha256:…` → (`team/app`, `v1`)."""
    name = reference.partition("@")[0]
    first, slash, rest = name.partition("/")
    if slash and (first == "localhost" or re.search(r"[.:]", first)):
        name = rest
    path, colon, tag = name.rpartition(":")
    return (path, tag) if colon else (tag, DEFAULT_TAG)


class Catalogue:
    """All images of a folder, read once."""

    def __init__(self, folder: Path = CATALOGUE) -> None:
        entries = [yaml.safe_load(file.read_text()) for file in sorted(folder.glob("*.yaml"))]
        self._entries: dict[str, dict[str, Any]] = {entry["image"]: entry for entry in entries}

    def find(self, reference: str) -> Image:
        """The image of this name. Raises ImageUnknownError that lists what there is."""
        repository, tag = repository_and_tag(reference)
        entry = self._entries.get(repository)
        if entry is None:
            known = ", ".join(self._entries)
            raise ImageUnknownError(
                f'image "{reference}" is not in the process node\'s catalogue ({known}), and the '
                "container names no command: add a file to devcluster/images or set `command`"
            )
        tags: dict[str, Any] | None = entry.get("tags")
        if tags is not None and tag not in tags:
            raise ImageUnknownError(
                f'image "{reference}": {repository} has only the tags {", ".join(tags)} here'
            )
        variant = (tags or {}).get(tag) or {}
        settings = {**entry, **variant}
        return Image(
            command=tuple(settings.get("command", ())),
            args=tuple(settings.get("args", ())),
            env={**entry.get("env", {}), **variant.get("env", {})},
            workdir=settings.get("workdir"),
            needs_programs=settings.get("programs", False),
        )
