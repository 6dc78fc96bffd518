"""Builds image archives with buildah, each once for what it is made of.

No container registry is needed: the base image is made by mmdebstrap from Debian packages.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devcluster.build import TAIL_LINES, Say
from devcluster.errors import BuildError
from devcluster.paths import cache_dir, locked

CERTIFICATES = Path("/etc/ssl/certs")
ARCHIVES_KEPT = 3
"""Archives of one image, the newest; each has some 300 MB."""

SUITE = "trixie"
"""The Debian release of the official `python:3.13-slim`, and so the same Python."""

MAKE_BASE = (
    "mmdebstrap",
    "--quiet",
    "--variant=minbase",
    "--include=python3,python3-venv,ca-certificates",
    *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("doc", "man", "locale")),
    SUITE,
)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Image:
    """An image in an archive that containerd can import."""

    reference: str
    archive: Path


@dataclass(frozen=True, slots=True)
class Recipe:
    """A Dockerfile and what goes into it."""

    reference: str
    dockerfile: Path
    sources: tuple[Path, ...]
    """Files that make the image; a change of one builds it anew."""

    context: Path | None = None
    """The folder they are in; without one they are copied side by side into a new folder."""

    folders: tuple[Path, ...] = ()
    """Whole folders for the new folder, which one of the sources pins."""

    def archive(self) -> Path:
        """Where its archive is, by the hash of all that goes into it."""
        digest = hashlib.sha256(base_key().encode())
        for path in (self.dockerfile, *sorted(self.sources)):
            digest.update(f"{path.name}\0".encode())
            digest.update(path.read_bytes())
        name = self.dockerfile.stem if self.dockerfile.suffix else "operator"
        return _archives() / f"{name}-{digest.hexdigest()[:20]}.tar"


def build(recipe: Recipe, report: Say) -> Image:
    """The image, built now if its archive is not there. Raises BuildError."""
    archive = recipe.archive()
    with locked(_archives() / "build.lock"):
        if not archive.exists():
            report(f"Building the image {recipe.reference} ...")
            with _context(recipe) as context:
                _build(recipe, context, base(report), archive)
            _forget_old(archive)
    return Image(recipe.reference, archive)


def base(report: Say) -> str:
    """The name of the base image in our storage: Debian with Python, nothing else."""
    reference = f"localhost/bullmq-operator-base:{base_key()}"
    if _buildah_knows(reference):
        return reference
    report(f"Making a base image from Debian {SUITE} packages (once, half a minute) ...")
    archive = _archives() / f"base-{base_key()}.tar"
    if not archive.exists():
        draft = archive.with_suffix(".new.tar")
        run((*MAKE_BASE, str(draft)))
        draft.rename(archive)
    container = buildah("from", "scratch").strip()
    buildah("add", "--quiet", container, str(archive), "/")
    buildah("config", "--env", f"PATH={PATH}", container)
    buildah("commit", "--quiet", "--rm", container, reference)
    return reference


def base_key() -> str:
    """Names the base by how it is made (Debian's updates do not make a new one)."""
    return hashlib.sha256("\0".join((*MAKE_BASE, PATH)).encode()).hexdigest()[:20]


def buildah(command: str, *arguments: str) -> str:
    """With a storage of our own: the user's images are not ours to list or to remove."""
    return run((*_storage_command(), command, *arguments))


def run(command: Sequence[str]) -> str:
    """Run a program and return its output. Raises BuildError with its last lines."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        tail = "\n  ".join((done.stdout + done.stderr).splitlines()[-TAIL_LINES:])
        raise BuildError(f"`{' '.join(command)}` failed (exit {done.returncode}):\n  {tail}")
    return done.stdout


@contextmanager
def _context(recipe: Recipe) -> Iterator[Path]:
    if recipe.context is not None:
        yield recipe.context
        return
    with tempfile.TemporaryDirectory() as name:
        for path in recipe.sources:
            shutil.copy(path, name)
        for path in recipe.folders:
            shutil.copytree(path, Path(name) / path.name, symlinks=True)
        yield Path(name)


def _build(recipe: Recipe, context: Path, base_image: str, archive: Path) -> None:
    """The machine's certificates are lent to the build: a proxy that opens TLS needs them."""
    lent = ("--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro") if CERTIFICATES.is_dir() else ()
    buildah(
        "build",
        "--layers",
        "--isolation=chroot",
        "--pull-never",
        *lent,
        f"--build-arg=BASE_IMAGE={base_image}",
        f"--tag={recipe.reference}",
        f"--file={recipe.dockerfile}",
        str(context),
    )
    draft = archive.with_suffix(".new.tar")
    draft.unlink(missing_ok=True)
    buildah("push", "--quiet", recipe.reference, f"docker-archive:{draft}:{recipe.reference}")
    draft.rename(archive)


def _forget_old(newest: Path) -> None:
    kind = newest.name.partition("-")[0]
    archives = sorted(newest.parent.glob(f"{kind}-*.tar"), key=lambda path: path.stat().st_mtime)
    for path in archives[:-ARCHIVES_KEPT]:
        path.unlink()


def _buildah_knows(reference: str) -> bool:
    command = (*_storage_command(), "inspect", "--type=image", reference)
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _storage_command() -> Iterable[str]:
    storage = cache_dir() / "nodetier" / "storage"
    return ("buildah", f"--root={storage}", f"--runroot={storage}.run")


def _archives() -> Path:
    folder = cache_dir() / "nodetier" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
