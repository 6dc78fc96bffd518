"""kubectl against one cluster."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster import tools
from devcluster.errors import KubectlError


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl as one user: everything goes through the real binary, as a user would."""

    kubeconfig: Path
    cache: Path
    via: tuple[str, ...] = ()
    """What runs it, such as `nsenter` for a cluster in a network namespace of its own."""

    def run(
        self,
        *args: str,
        namespace: str | None = None,
        stdin: str | None = None,
        timeout: float = 60.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run it and return what came of it, good or bad."""
        argv = [
            *self.via,
            str(tools.kubectl()),
            *(("--namespace", namespace) if namespace else ()),
            *args,
        ]
        return subprocess.run(
            argv,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=self.environment(),
        )

    def __call__(
        self,
        *args: str,
        namespace: str | None = None,
        stdin: str | None = None,
        timeout: float = 60.0,
    ) -> str:
        """Run it and return its output. Raises KubectlError with its words when it fails."""
        done = self.run(*args, namespace=namespace, stdin=stdin, timeout=timeout)
        if done.returncode != 0:
            raise KubectlError(args, done.returncode, done.stderr)
        return done.stdout

    def get(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        """An object, or None when there is none of that name."""
        found = self("get", kind, name, "--ignore-not-found", "-o", "json", namespace=namespace)
        return json.loads(found) if found else None

    def list(
        self, kind: str, namespace: str | None = None, *, selector: str = ""
    ) -> Sequence[dict[str, Any]]:
        """All objects of a kind, in one namespace or the default one."""
        flags = ("-l", selector) if selector else ()
        answer = json.loads(self("get", kind, "-o", "json", *flags, namespace=namespace))
        items: list[dict[str, Any]] = answer["items"]
        return items

    def apply(
        self,
        manifest: str | Path | Mapping[str, Any] | Sequence[Mapping[str, Any]],
        namespace: str | None = None,
    ) -> str:
        """Apply YAML text, a file or folder (kustomize aside), an object or a list of objects."""
        if isinstance(manifest, Path):
            return self("apply", "-f", str(manifest), namespace=namespace)
        if isinstance(manifest, Mapping):
            manifest = [manifest]
        if not isinstance(manifest, str):
            items = [dict(one) for one in manifest]
            manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        return self("apply", "-f", "-", namespace=namespace, stdin=manifest)

    def environment(self) -> dict[str, str]:
        """What a shell needs to run kubectl by hand against this cluster."""
        own = {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.cache)}
        path = os.pathsep.join([str(tools.kubectl().parent), os.environ.get("PATH", "")])
        return os.environ | own | {"PATH": path}
