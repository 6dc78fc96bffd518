"""The machine that the node believes to be on: the first process in namespaces of its own.

    unshare … catatonit -- python -m devcluster.nodetier.machine STATE CGROUP

catatonit reaps what containerd's shims orphan. This process makes the addresses and mounts, then
serves a supervisor in STATE that starts processes for whoever holds it. When it ends, the kernel
ends every process of its process namespace and drops the mounts and the network: nothing stays.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from devcluster.nodetier.prerequisites import cgroup_hierarchies
from devcluster.supervisor import Supervisor

API_ADDRESS = "10.0.0.1"
"""The first address of the service network. The API server listens on it itself, so that Pods reach
it as they do on any cluster (KUBERNETES_SERVICE_HOST), without kube-proxy."""

NODE_ADDRESS = "10.0.0.2"
"""Kubelet's, and Redis's."""

OWN_FOLDERS = ("/run", "/var/log", "/var/lib/cni")
"""Where programs write without being asked where; here they are empty and in memory."""


def main(state: Path, cgroup: str) -> None:
    """Prepare the namespaces, then hold processes until told to stop."""
    if not _own_namespaces():
        sys.exit("this is started by devcluster.nodetier in namespaces of its own, never by hand")
    _mounts()
    _network()
    _cgroups(cgroup)
    supervisor = Supervisor(state, remove_state=False)
    signal.signal(signal.SIGTERM, supervisor.request_stop)
    supervisor.listen()
    supervisor.run()


def _own_namespaces() -> bool:
    """Whether our parent is the first process of its process namespace, and the network is bare."""
    return os.getppid() == 1 and Path("/proc/1/comm").read_text().strip() == "catatonit"


def _mounts() -> None:
    for folder in OWN_FOLDERS:
        Path(folder).mkdir(parents=True, exist_ok=True)
        _run("mount", "-t", "tmpfs", "tmpfs", folder)


def _network() -> None:
    """Loopback alone: containers get theirs from the CNI plugin, and there is no way out."""
    _run("ip", "link", "set", "lo", "up")
    for address in (API_ADDRESS, NODE_ADDRESS):
        _run("ip", "address", "add", f"{address}/32", "dev", "lo")


def _cgroups(name: str) -> None:
    """The folder below which kubelet makes its own, in each hierarchy."""
    for hierarchy in cgroup_hierarchies():
        folder = hierarchy / name
        folder.mkdir(exist_ok=True)
        available = folder / "cgroup.controllers"
        if available.exists():  # cgroup v2: children get only what each parent passes on
            passed_on = " ".join(f"+{one}" for one in available.read_text().split())
            (folder / "cgroup.subtree_control").write_text(passed_on)
        elif hierarchy.name == "cpuset":  # v1: an empty set would admit no process
            for part in ("cpuset.cpus", "cpuset.mems"):
                (folder / part).write_text((hierarchy / part).read_text())


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
