"""What the node tier needs of the machine; what Debian packages can give is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from devcluster.build import Say, say
from devcluster.errors import DevclusterError

CNI_PLUGINS = Path("/usr/lib/cni")
PACKAGES = {
    "/usr/bin/buildah": "buildah",
    "/usr/bin/mmdebstrap": "mmdebstrap",
    "/usr/bin/catatonit": "catatonit",
    "/usr/sbin/runc": "runc",
    "/usr/sbin/ip": "iproute2",
    "/usr/bin/unshare": "util-linux",
    "/usr/bin/nsenter": "util-linux",
    str(CNI_PLUGINS / "ptp"): "containernetworking-plugins",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}
"""Each file that is used, and the Debian package it comes from."""

NAMESPACES = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
CGROUPS = Path("/sys/fs/cgroup")
CONTROLLERS = {"cpu", "memory", "pids"}
"""What a kubelet needs of cgroup v2."""

TAIL_LINES = 8


class UnavailableError(DevclusterError):
    """This machine can't run the node tier; the text says why and what would help."""


def ensure(report: Say = say) -> None:
    """Install the missing packages and try what the tier does. Raises UnavailableError."""
    if not sys.platform.startswith("linux"):
        raise UnavailableError(f"a kubelet runs on Linux only, and this is {sys.platform}")
    if os.geteuid() != 0:
        raise UnavailableError("a kubelet needs root: run it as root to have it tested")
    _install(missing_packages(), report)
    _try(
        (*NAMESPACES, "true"),
        "the kernel gives no namespaces (in a container it has to be a privileged one)",
    )
    _try(
        (
            "unshare",
            "--mount",
            "sh",
            "-c",
            "mount -t tmpfs none /run && mount -t tmpfs none /var/log",
        ),
        "file systems can't be mounted",
    )
    _try_cgroups()


def missing_packages() -> Sequence[str]:
    """The Debian packages that have to be installed, without duplicates."""
    missing = [package for path, package in PACKAGES.items() if not Path(path).exists()]
    return sorted(set(missing))


def cgroup_hierarchies() -> Sequence[Path]:
    """Where cgroups are made: one folder with cgroup v2, one for each controller with v1."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [path for path in sorted(CGROUPS.iterdir()) if (path / "cgroup.procs").exists()]


def _install(packages: Sequence[str], report: Say) -> None:
    if not packages:
        return
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise UnavailableError(f"these Debian packages, or their like, are needed: {names}")
    report(f"Installing Debian packages: {names} ...")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ("apt-get", "install", "-y", "--no-install-recommends", *packages)
    for command in (("apt-get", "update"), install):
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    # An update may fail for a source that has nothing to do with this: the install decides.
    if done.returncode != 0 or missing_packages():
        tail = "\n  ".join((done.stdout + done.stderr).splitlines()[-TAIL_LINES:])
        raise UnavailableError(f"`apt-get install {names}` failed:\n  {tail}")


def _try_cgroups() -> None:
    hierarchies = cgroup_hierarchies()
    if not hierarchies or not all(os.access(path, os.W_OK) for path in hierarchies):
        raise UnavailableError("/sys/fs/cgroup is not writable, and a kubelet needs cgroups")
    passed_on = hierarchies[0] / "cgroup.subtree_control"
    if hierarchies == [CGROUPS] and CONTROLLERS - set(passed_on.read_text().split()):
        try:
            passed_on.write_text(" ".join(f"+{name}" for name in sorted(CONTROLLERS)))
        except OSError as error:  # processes live in this very cgroup, as in most containers
            names = ", ".join(sorted(CONTROLLERS))
            text = f"cgroup v2 does not pass on the controllers {names} here: {error}"
            raise UnavailableError(text) from error


def _try(command: Sequence[str], reason: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UnavailableError(f"{reason}: {done.stderr.strip()}")
