"""Builds the control plane, once: etcd, etcdctl, kube-apiserver and kube-controller-manager.

All are pinned Go modules linked into one binary (`controlplane/`). A first build compiles about
2,000 packages (5 to 10 minutes on two cores) and keeps 4 GB of Go cache; after that the binary is
found by the hash of what it is made of, and nothing runs.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster import tools
from devcluster.errors import BuildError
from devcluster.paths import HERE, cache_dir, locked

SOURCE = HERE / "controlplane"
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager")
"""What a cluster runs, and so what `KUBEBUILDER_ASSETS` must hold to be used instead."""

GO_FLAGS = "-trimpath -buildvcs=false -mod=readonly"
TAIL_LINES = 15
Say = Callable[[str], None]


def say(text: str) -> None:
    """Progress goes to stderr: stdout is for results (`python -m devcluster up` prints a path)."""
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """How to call each program: a prefix of arguments by program name."""

    commands: dict[str, tuple[str, ...]]
    origin: str

    def command(self, program: str) -> list[str]:
        """The start of the command line of one program."""
        return list(self.commands[program])


def control_plane(report: Say = say) -> ControlPlane:
    """The programs of the control plane, built first if they have to be.

    Raises BuildError with the last lines of the build and a next step.
    """
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        folder = Path(assets).expanduser()
        missing = [name for name in PROGRAMS if not os.access(folder / name, os.X_OK)]
        if not missing:
            return ControlPlane(
                {name: (str(folder / name),) for name in PROGRAMS}, f"KUBEBUILDER_ASSETS={folder}"
            )
        report(
            f"KUBEBUILDER_ASSETS={folder} has no {', '.join(missing)}; a cluster whose Deployments "
            "really scale needs all three of one version, so devcluster uses its own build."
        )
    binary = built_binary(report)
    names = (*PROGRAMS, "etcdctl")
    return ControlPlane({name: (str(binary), name) for name in names}, str(binary))


def built_binary(report: Say = say) -> Path:
    """Our own control plane binary, from the cache or built now (one build at a time)."""
    binary = cache_dir() / "controlplane" / build_key() / "controlplane"
    if binary.exists():
        return binary
    with locked(cache_dir() / "controlplane" / "build.lock"):
        if not binary.exists():
            _build(binary, report)
    return binary


def build_key() -> str:
    """Names the result by everything it is made of."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum", "main.go"):
        digest.update((SOURCE / name).read_bytes())
    digest.update((tools.go().parent.parent / "VERSION").read_bytes())
    digest.update(f"{GO_FLAGS}\0{linker_flags()}".encode())
    return digest.hexdigest()[:20]


def kubernetes_version() -> str:
    """The pinned version, such as `v1.37.2`, from go.mod."""
    for line in (SOURCE / "go.mod").read_text().splitlines():
        words = line.removeprefix("require").split()
        if len(words) == 2 and words[0] == "k8s.io/kubernetes":
            return words[1]
    raise BuildError(f"{SOURCE / 'go.mod'} does not require k8s.io/kubernetes")


def linker_flags() -> str:
    """Without these the server would report its version as a placeholder."""
    version = kubernetes_version()
    major, minor = version.removeprefix("v").split(".")[:2]
    package = "k8s.io/component-base/version"
    return (
        f"-s -w -X {package}.gitVersion={version} "
        f"-X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    )


def _build(binary: Path, report: Say) -> None:
    report(
        f"Building the Kubernetes {kubernetes_version()} control plane (once; on two cores this "
        "takes 5 to 10 minutes, needs the Go module proxy and 5 GB of disk) ..."
    )
    started = time.monotonic()
    compile_go(SOURCE, ".", binary, linker_flags(), report)
    report(f"Built {binary} in {_minutes(time.monotonic() - started)}.")


def compile_go(source: Path, package: str, binary: Path, flags: str, report: Say = say) -> None:
    """Compile a package of the module in `source`; `binary` appears when it is whole.

    Raises BuildError with the last lines of the build and a next step.
    """
    binary.parent.mkdir(parents=True, exist_ok=True)
    packages = _run_go(
        source,
        ["list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", package],
        Progress("fetching modules", report),
    )
    with tempfile.TemporaryDirectory(dir=binary.parent) as folder:
        target = Path(folder) / binary.name
        progress = Progress("compiling", report, total=len(packages))
        _run_go(source, ["build", "-v", "-ldflags", flags, "-o", str(target), package], progress)
        target.rename(binary)


class Progress:
    """Says every few seconds how far a Go command is, so that a long build never looks hung."""

    EVERY_SECONDS = 10.0

    def __init__(self, what: str, report: Say, total: int = 0) -> None:
        self._what, self._report, self._total = what, report, total
        self._done, self._started = 0, time.monotonic()
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finished.set()
        self._thread.join()

    def line(self, text: str) -> None:
        """Take one line of the command's stderr: a package compiled, or a module fetched."""
        self._done += 1
        self.tail.append(text)

    def _tick(self) -> None:
        while not self._finished.wait(self.EVERY_SECONDS):
            elapsed = _minutes(time.monotonic() - self._started)
            of = f" of {self._total} packages" if self._total else ""
            self._report(f"  {self._what}: {self._done}{of}, {elapsed}")


def _run_go(source: Path, arguments: Sequence[str], progress: Progress) -> list[str]:
    with (
        progress,
        subprocess.Popen(
            [str(tools.go()), *arguments],
            cwd=source,
            env=_go_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        output: list[str] = []
        reader = threading.Thread(target=output.extend, args=(process.stdout,))
        reader.start()
        for line in process.stderr:
            progress.line(line.rstrip())
        reader.join()
    if process.returncode != 0:
        tail = "\n  ".join(progress.tail)
        raise BuildError(
            f"`go {arguments[0]}` failed in {source} (exit {process.returncode}):\n  {tail}\n"
            "Next: check the network (the Go module proxy must be reachable) and the free disk "
            "space (5 GB), then try again; it goes on where it was."
        )
    return [line.strip() for line in output if line.strip()]


def _go_environment() -> dict[str, str]:
    """The user's own environment (proxies), but a fixed tool chain and caches of our own."""
    caches = cache_dir() / "go"
    return os.environ | {
        "CGO_ENABLED": "0",
        "GOCACHE": str(caches / "build"),
        "GOMODCACHE": str(caches / "mod"),
        "GOFLAGS": GO_FLAGS,
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
