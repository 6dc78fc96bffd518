"""A whole cluster: start, use, disturb, stop. For pytest fixtures, the demo and benchmarks."""

from __future__ import annotations

import contextlib
import datetime
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from devcluster import components, tools
from devcluster.audit import AuditEntry, read_audit
from devcluster.build import ControlPlane, control_plane
from devcluster.components import Layout
from devcluster.errors import DevclusterError, KubectlError, StartError
from devcluster.kubeconfig import AdminApi, write_kubeconfig
from devcluster.kubectl import Kubectl
from devcluster.paths import new_state_dir
from devcluster.processes import Hold, project_environment
from devcluster.waiting import T, wait_until

API, CONTROLLERS, ETCD, NODE = "kube-apiserver", "kube-controller-manager", "etcd", "node"
START_TRIES = 3
START_SECONDS = 60.0
BRIEF_OUTAGE_SECONDS = 3.0
"""After a longer one the controller manager backs off for up to a minute: it is restarted."""


class Cluster:
    """One Kubernetes cluster on this machine. Use as a context manager, or start() and stop()."""

    def __init__(self, hold: Hold, layout: Layout, *, with_node: bool = True) -> None:
        """Not for direct use: `Cluster.create()` or `Cluster.attach(state)`."""
        self._hold, self._layout, self._with_node = hold, layout, with_node
        self._programs: ControlPlane | None = None
        self._api_down_since: float | None = None
        self._api = AdminApi(layout.endpoint, layout.admin_token)
        self._kubectl = Kubectl(self.kubeconfig, layout.folder / "kubectl-cache")

    @classmethod
    def create(cls, *, with_node: bool = True) -> Cluster:
        """Start a new cluster and wait until it is ready (about 4 s; first the build, once).

        It lives as long as somebody holds it: this object, or one that attached.
        Raises BuildError or StartError.
        """
        programs = control_plane()
        for attempt in range(START_TRIES):
            state = new_state_dir("cluster")
            hold = Hold.new(state, remove_state=True)
            try:
                layout = Layout.new(state, hold.claim_network())
                cluster = cls(hold, layout, with_node=with_node)
                cluster._programs = programs
                cluster._start_all()
            except StartError as error:
                hold.shutdown()
                if "address already in use" not in str(error) or attempt == START_TRIES - 1:
                    raise
            except BaseException:
                hold.shutdown()
                raise
            else:
                return cluster
        raise AssertionError("unreachable: the last try returns or raises")

    @classmethod
    def attach(cls, state: Path) -> Cluster:
        """Hold a running cluster too, such as one that another test worker started.

        Raises OSError when it is gone.
        """
        return cls(Hold(state), Layout.load(state))

    def _start_all(self) -> None:
        components.write_files(self._layout)
        self._layout.save()
        self._spawn(ETCD, components.etcd_flags(self._layout))
        self._spawn(API, components.apiserver_flags(self._layout))
        self._wait_for_api()
        self._spawn(CONTROLLERS, components.controller_manager_flags(self._layout))
        if self._with_node:
            self.start_node()
        self._wait(CONTROLLERS, "/api/v1/namespaces/default/serviceaccounts/default")
        if self._with_node:
            self._wait(NODE, f"/api/v1/nodes/{components.NODE}")

    def _spawn(self, program: str, flags: Sequence[str]) -> None:
        if self._programs is None:
            self._programs = control_plane()
        self._hold.spawn(program, [*self._programs.command(program), *flags])

    def _wait_for_api(self) -> None:
        self._wait(API, "/readyz")

    def _wait(self, process: str, path: str) -> None:
        """Wait for a good answer, and notice early when the process ends instead."""

        def answered() -> bool:
            if self._api.get(path):
                return True
            for needed in (ETCD, process):
                self._hold.check_running(needed)
            return False

        wait_until(answered, f"{process} ready", START_SECONDS)

    # --- use -----------------------------------------------------------------------------------

    @property
    def state(self) -> Path:
        """The folder with logs, certificates and kubeconfigs; another process can attach to it."""
        return self._layout.folder

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self._layout.endpoint.server

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig (group system:masters)."""
        return self.state / "kubeconfig"

    @property
    def kubectl(self) -> Kubectl:
        """kubectl as administrator: `cluster.kubectl("get", "pods", namespace="shop")`."""
        return self._kubectl

    def try_kubectl(
        self, *args: str, namespace: str | None = None, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """kubectl whose failure is a result: exit code, output and errors."""
        return self._kubectl.run(*args, namespace=namespace, stdin=stdin)

    def kubectl_as(self, service_account: str, namespace: str) -> Kubectl:
        """kubectl with the rights of a ServiceAccount."""
        config = self.kubeconfig_for(service_account, namespace)
        return Kubectl(config, self.state / "kubectl-cache")

    def kubeconfig_for(self, service_account: str, namespace: str) -> Path:
        """A kubeconfig with a token (24 h) of a ServiceAccount that exists."""
        answer = self._api.post(
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token",
            {"spec": {"expirationSeconds": 24 * 3600}},
        )
        user = {"token": answer["status"]["token"]}
        config = self._layout.endpoint.kubeconfig(user, namespace)
        return write_kubeconfig(self.state / f"{namespace}.{service_account}.kubeconfig", config)

    def wait(
        self, what: str, condition: str, namespace: str | None = None, timeout: float = 60.0
    ) -> None:
        """`kubectl wait`: cluster.wait("deployment/orders", "condition=Available", "shop")."""
        flags = (f"--for={condition}", f"--timeout={timeout:g}s")

        def waited() -> bool:
            try:
                self._kubectl("wait", what, *flags, namespace=namespace, timeout=timeout + 10)
            except KubectlError as error:
                if "accessor error" not in str(error):
                    raise
                return False  # so new that it has no conditions yet, which kubectl can't read
            return True

        wait_until(waited, f"{condition} of {what}", timeout)

    def wait_until(self, probe: Callable[[], T | None], what: str, timeout: float = 30.0) -> T:
        """Wait for anything else: see `devcluster.waiting.wait_until`."""
        return wait_until(probe, what, timeout)

    def audit(
        self, *, user: str | None = None, since: datetime.datetime | None = None
    ) -> list[AuditEntry]:
        """What was asked of the API server, by whom (ServiceAccounts as
        `system:serviceaccount:<namespace>:<name>`), from a moment on (aware datetime).
        """
        return list(read_audit(self.state / "audit.log", user=user, since=since))

    def logs(self, pod: str, namespace: str, container: str | None = None) -> str:
        """A Pod's output so far, through kubectl."""
        flags = ("-c", container) if container else ("--all-containers",)
        return self._kubectl("logs", pod, *flags, namespace=namespace)

    def process_log(self, name: str) -> str:
        """The output of one of the cluster's own processes (etcd, kube-apiserver, …, node)."""
        return self._hold.log(name).read_text(errors="replace")

    def pids(self) -> dict[str, int]:
        """The cluster's own processes that run."""
        status = self._hold.status()
        return {name: one.pid for name, one in status.items() if one.returncode is None}

    def etcdctl(self, *args: str) -> str:
        """etcdctl on the cluster's etcd, for faults such as compaction or a lost delete."""
        command = (self._programs or control_plane()).commands.get("etcdctl")
        if command is None:
            raise DevclusterError(
                "etcdctl comes with devcluster's own build: unset KUBEBUILDER_ASSETS"
            )
        argv = [*command, f"--endpoints={self._layout.etcd}", *args]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    # --- disturb -------------------------------------------------------------------------------

    def kill_apiserver(self) -> None:
        """SIGKILL; returns when it is gone. Pods go on running."""
        self._api_down_since = time.monotonic()
        self._hold.end(API)

    def start_apiserver(self) -> None:
        """Start it again on its data, and wait until it is ready."""
        self._spawn(API, components.apiserver_flags(self._layout))
        self._wait_for_api()
        down = self._api_down_since
        if down is not None and time.monotonic() - down > BRIEF_OUTAGE_SECONDS:
            self._spawn(CONTROLLERS, components.controller_manager_flags(self._layout))
        self._api_down_since = None

    def restart_apiserver(self) -> None:
        """A crash and a quick recovery (about 2 s)."""
        self.kill_apiserver()
        self.start_apiserver()

    def pause_apiserver(self) -> None:
        """SIGSTOP: it accepts connections and never answers."""
        self._hold.signal(API, signal.SIGSTOP)

    def resume_apiserver(self) -> None:
        """SIGCONT."""
        self._hold.signal(API, signal.SIGCONT)

    def start_node(self) -> None:
        """Start (or restart) the process node; Pods bound to it are started again."""
        argv = [str(tools.python()), "-m", "devcluster.node", str(self.state)]
        self._hold.spawn(
            NODE, argv, environment=project_environment(), stop_signal=signal.SIGTERM, grace=5.0
        )

    def kill_node(self) -> None:
        """SIGKILL the node: its Pods' processes die with it, as if the machine had failed."""
        self._hold.signal(NODE, signal.SIGKILL)
        self._hold.end(NODE)

    # --- end -----------------------------------------------------------------------------------

    def keep(self) -> None:
        """Let the cluster live on when nobody holds it, until `stop` or `devcluster down`."""
        self._hold.keep()

    def release(self) -> None:
        """Let go of it: it stops when nobody else holds it."""
        self._hold.release()

    def stop(self) -> None:
        """End it for everybody, and wait until every process and file is gone."""
        self._hold.shutdown()
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.state)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
