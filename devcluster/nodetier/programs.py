"""The node's own programs, compiled once from pinned Go modules: kubelet and containerd."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from devcluster import build, tools
from devcluster.build import Say, say
from devcluster.paths import cache_dir, locked

HERE = Path(__file__).resolve().parent
KUBELET = "k8s.io/kubernetes/cmd/kubelet"
CONTAINERD = "github.com/containerd/containerd/v2"
CONTAINERD_PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr")


@dataclass(frozen=True, slots=True)
class Programs:
    """Where they are. containerd finds its shim on the PATH, so `folder` goes there."""

    controlplane: Path
    kubelet: Path
    folder: Path

    @property
    def ctr(self) -> Path:
        """containerd's own client: imports images."""
        return self.folder / "ctr"


def node_programs(report: Say = say) -> Programs:
    """All programs, built first if they have to be. Raises BuildError.

    The kubelet's module pins what the control plane's does, so it finds most packages compiled.
    """
    controlplane = build.built_binary(report)
    kubelet = _built("kubelet", {"kubelet": KUBELET}, build.linker_flags(), report)
    flags = f"-s -w -X {CONTAINERD}/version.Version={pinned_version('containerd', CONTAINERD)}"
    packages = {name: f"{CONTAINERD}/cmd/{name}" for name in CONTAINERD_PROGRAMS}
    folder = _built("containerd", packages, flags, report)
    return Programs(controlplane, kubelet / "kubelet", folder)


def pinned_version(module: str, dependency: str) -> str:
    """The version of a dependency in the go.mod of one of our modules."""
    for line in (HERE / module / "go.mod").read_text().splitlines():
        words = line.removeprefix("require").split()
        if len(words) >= 2 and words[0] == dependency:
            return words[1]
    raise LookupError(f"{HERE / module / 'go.mod'} does not require {dependency}")


def _built(module: str, packages: dict[str, str], flags: str, report: Say) -> Path:
    source = HERE / module
    folder = cache_dir() / "nodetier" / module / _key(source, flags)
    with locked(cache_dir() / "nodetier" / "build.lock"):
        for name, package in packages.items():
            if not (folder / name).exists():
                report(f"Compiling {name} (once) ...")
                build.compile_go(source, package, folder / name, flags, report)
    return folder


def _key(source: Path, flags: str) -> str:
    digest = hashlib.sha256(f"{build.GO_FLAGS}\0{flags}".encode())
    for path in (source / "go.mod", source / "go.sum", tools.go().parent.parent / "VERSION"):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:20]
