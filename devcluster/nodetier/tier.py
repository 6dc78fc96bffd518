"""The node tier: start, use, stop. For the tests in tests/node, and for a look by hand."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from devcluster import tools
from devcluster.build import Say, say
from devcluster.kubectl import Kubectl
from devcluster.nodetier import configuration, images, prerequisites
from devcluster.nodetier.buildah import Image, run
from devcluster.nodetier.machine import NODE_ADDRESS
from devcluster.nodetier.programs import Programs, node_programs
from devcluster.paths import new_state_dir, runtime_dir
from devcluster.processes import Hold, project_environment
from devcluster.running import remove_remains
from devcluster.waiting import wait_until

KIND = "node"
MACHINE = "machine"
START_SECONDS = 90.0
STOP_SECONDS = 15.0


class NodeTier:
    """A cluster of one real node. Use as a context manager, or create() and stop()."""

    redis_url = f"redis://{NODE_ADDRESS}:{configuration.REDIS_PORT}"
    """Redis as Pods reach it."""

    def __init__(self, outside: Hold) -> None:
        """Not for direct use: `NodeTier.create()`."""
        self._outside = outside
        self._inside: Hold | None = None
        self._enter: tuple[str, ...] = ()
        self.state = outside.state / KIND

    @classmethod
    def create(cls, report: Say = say, archives: Sequence[Image] | None = None) -> NodeTier:
        """Build what is missing, start all, and wait until the node is Ready (about 15 s).

        `archives` are the images it has; all that there are unless given.
        Raises UnavailableError, BuildError or StartError.
        """
        prerequisites.ensure(report)
        programs = node_programs(report)
        if archives is None:
            archives = images.all_images(report)
        remove_remains()
        remove_cgroups_of_the_dead()
        tier = cls(Hold.new(new_state_dir(KIND), remove_state=True))
        try:
            tier._start(programs, archives)
        except BaseException:
            tier.stop()
            raise
        return tier

    @property
    def kubectl(self) -> Kubectl:
        """kubectl as administrator, run in the tier's network."""
        config = configuration.kubeconfig(self.state, "admin")
        return Kubectl(config, self.state / "kubectl-cache", via=self._enter)

    @property
    def redis_socket(self) -> Path:
        """Redis as this process reaches it: a path leads into any network namespace."""
        return self.state / "redis.sock"

    @property
    def cgroup(self) -> str:
        """The name of the cgroups that kubelet's are below."""
        return _cgroup(self._outside.state)

    def process_log(self, name: str) -> str:
        """The output of one of the cluster's own processes, such as `kubelet`."""
        return (self.state / f"{name}.log").read_text(errors="replace")

    def stop(self) -> None:
        """End it, and wait until every process, file and cgroup is gone."""
        if self._inside is not None:
            self._inside.release()
        self._outside.shutdown()
        _remove(self._outside.state)

    def _start(self, programs: Programs, archives: Sequence[Image]) -> None:
        self._inside = inside = self._start_machine(programs)
        configuration.write_files(self.state, self.cgroup)
        commands = configuration.commands(self.state, programs)

        def spawn(*names: str) -> None:
            for name in names:
                inside.spawn(name, commands[name], environment=_environment(programs))

        spawn("etcd", "containerd", "kube-apiserver", "redis")
        with ThreadPoolExecutor() as pool:
            imported = pool.submit(self._import, programs.ctr, archives)
            self._wait("kube-apiserver", "get", "--raw=/readyz")
            spawn("kube-controller-manager", "kube-scheduler")
            imported.result()
        spawn("kubelet")
        node = (f"node/{configuration.NODE}", "--for=condition=Ready", "--timeout=1s")
        self._wait("kubelet", "wait", *node)
        self._wait("kube-controller-manager", "get", "serviceaccount/default")

    def _start_machine(self, programs: Programs) -> Hold:
        self.state.mkdir()
        python = (str(tools.python()), "-m", "devcluster.nodetier.machine")
        arguments = ("catatonit", "--", *python, str(self.state), self.cgroup)
        command = (*prerequisites.NAMESPACES, "--", *arguments)
        pid = self._outside.spawn(MACHINE, command, environment=_environment(programs))
        self._enter = ("nsenter", f"--target={pid}", "--net", "--")
        return wait_until(self._connect, "the node's namespaces", START_SECONDS)

    def _connect(self) -> Hold | None:
        self._outside.check_running(MACHINE)
        with contextlib.suppress(OSError):
            return Hold(self.state)
        return None

    def _import(self, ctr: Path, archives: Sequence[Image]) -> None:
        """Put the images where kubelet finds them: nothing is ever pulled."""
        socket = self.state / "containerd.sock"
        wait_until(socket.exists, "containerd", START_SECONDS)
        for image in archives:
            run(
                (
                    str(ctr),
                    f"--address={socket}",
                    "-n=k8s.io",
                    "images",
                    "import",
                    str(image.archive),
                )
            )

    def _wait(self, process: str, *kubectl: str) -> None:
        """Wait until kubectl succeeds, and notice early when the process ends instead."""

        def answered() -> bool:
            if self._inside is not None:
                self._inside.check_running(process)
            return self.kubectl.run(*kubectl).returncode == 0

        wait_until(answered, f"{process} ready", START_SECONDS)

    def __enter__(self) -> NodeTier:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def remove_cgroups_of_the_dead() -> None:
    """A tier whose owner was killed ends with its folder; only its empty cgroups are left."""
    known = {_cgroup(state) for state in runtime_dir().glob(f"{KIND}-*")}
    for hierarchy in prerequisites.cgroup_hierarchies():
        for folder in hierarchy.glob(f"{_cgroup(Path(KIND))}-*"):
            if folder.name not in known:
                _remove_cgroup(folder)


def _remove(state: Path) -> None:
    for hierarchy in prerequisites.cgroup_hierarchies():
        _remove_cgroup(hierarchy / _cgroup(state))
    shutil.rmtree(state, ignore_errors=True)


def _remove_cgroup(folder: Path) -> None:
    """It goes when it is empty, and the kernel ends the processes in its own time."""

    def gone() -> bool:
        for path, _, _ in os.walk(folder, topdown=False):
            with contextlib.suppress(OSError):
                Path(path).rmdir()
        return not folder.exists()

    wait_until(gone, f"{folder} without processes", STOP_SECONDS)


def _cgroup(state: Path) -> str:
    return f"bullmq-operator-{state.name}"


def _environment(programs: Programs) -> dict[str, str]:
    """containerd and kubelet look for their helpers on the PATH."""
    own = project_environment()
    folders = (str(programs.folder), str(prerequisites.CNI_PLUGINS), own["PATH"])
    return own | {"PATH": os.pathsep.join(folders)}
