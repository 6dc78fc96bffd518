"""Volumes: a process can't have mounts without root, so only two kinds of them are honest here.

The ServiceAccount's token (see identity.py), and an emptyDir at /tmp, which becomes TMPDIR. All
else is refused: a program that looks for its file must not find another file, or none.
"""

from __future__ import annotations

from pathlib import Path

from devcluster.node.api import Json
from devcluster.node.environment import UnsupportedError
from devcluster.node.identity import MOUNT_PATH


def temporary_folder(pod: Json, container: Json, folder: Path) -> Path | None:
    """The folder of an emptyDir mounted at /tmp, made if need be.

    Raises UnsupportedError for any other mount.
    """
    kinds = {one["name"]: one for one in pod["spec"].get("volumes") or ()}
    found: Path | None = None
    for mount in container.get("volumeMounts") or ():
        path = mount["mountPath"].rstrip("/")
        if path == MOUNT_PATH:
            continue
        if path != "/tmp" or "emptyDir" not in kinds[mount["name"]]:
            raise UnsupportedError(
                f'volume "{mount["name"]}" can\'t be mounted at {mount["mountPath"]}: the process '
                "node has no mounts (only an emptyDir at /tmp and the ServiceAccount token). Pass "
                "the data by environment variables, or use the node tier"
            )
        found = folder / "volumes" / mount["name"]
        found.mkdir(parents=True, exist_ok=True)
    return found
