"""Clusters as a whole: start, stop, side by side, and what survives."""

from __future__ import annotations

import datetime
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import tools
from devcluster.cluster import Cluster
from devcluster.errors import KubectlError
from devcluster.processes import Hold, project_environment
from devcluster.waiting import wait_until
from tests.devcluster.workloads import Workloads, shell

pytestmark = pytest.mark.cluster


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def start_long_pod(cluster: Cluster) -> int:
    """A Pod whose command has a child of its own; the child's pid."""
    workloads = Workloads(cluster, "default")
    workloads.run(shell("sleep 600 & echo child $!; wait"))
    workloads.wait_until(lambda: "child" in workloads.logs(), "the Pod's child runs")
    return int(workloads.logs().split()[1])


def test_stopping_leaves_no_process_and_no_file() -> None:
    with Cluster.create() as cluster:
        pids = [*cluster.pids().values(), start_long_pod(cluster)]
        assert all(map(is_alive, pids))
    assert [pid for pid in pids if is_alive(pid)] == []
    assert not cluster.state.exists()


OWNER = """
import signal
from devcluster.cluster import Cluster
cluster = Cluster.create()
print(cluster.state, flush=True)
signal.pause()
"""


@pytest.fixture
def owner() -> Iterator[subprocess.Popen[str]]:
    """A process that started a cluster and prints its state folder."""
    argv = [str(tools.python()), "-c", OWNER]
    with subprocess.Popen(
        argv, env=project_environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def test_a_cluster_goes_when_the_process_that_holds_it_is_killed(
    owner: subprocess.Popen[str],
) -> None:
    assert owner.stdout is not None
    cluster = Cluster.attach(Path(owner.stdout.readline().strip()))
    pids = [*cluster.pids().values(), start_long_pod(cluster)]
    cluster.release()
    assert all(map(is_alive, pids))
    owner.kill()
    wait_until(lambda: not any(map(is_alive, pids)), "all processes of the cluster are gone")
    wait_until(lambda: not cluster.state.exists(), "its state is gone")


def test_a_cluster_lives_as_long_as_one_of_its_users() -> None:
    first = Cluster.create(with_node=False)
    second = Cluster.attach(first.state)
    first.release()
    assert second.kubectl("get", "--raw", "/readyz") == "ok"
    second.stop()


def test_two_clusters_side_by_side_know_nothing_of_each_other(
    cluster: Cluster, own_cluster: Cluster
) -> None:
    own_cluster.kubectl("create", "namespace", "mine")
    start_long_pod(own_cluster)
    assert cluster.kubectl.get("namespace", "mine") is None
    assert cluster.kubectl.get("pod", "pod", "default") is None
    assert cluster.server != own_cluster.server


def test_pods_outlive_a_crash_of_the_api_server(own_cluster: Cluster) -> None:
    child = start_long_pod(own_cluster)
    own_cluster.kill_apiserver()
    with pytest.raises(KubectlError):
        own_cluster.kubectl("get", "pods")
    own_cluster.start_apiserver()
    assert is_alive(child)
    workloads = Workloads(own_cluster, "default")
    assert workloads.status_of()["restartCount"] == 0
    workloads.kubectl("delete", "pod", "pod", "--grace-period=1")
    wait_until(lambda: not is_alive(child), "the Pod's process is gone")


def test_a_crashed_node_takes_its_processes_along_and_starts_its_pods_again(
    own_cluster: Cluster,
) -> None:
    workloads = Workloads(own_cluster, "default")
    workloads.run(shell("exec sleep 600"))
    workloads.wait_ready()
    address = workloads.pod()["status"]["podIP"]
    own_cluster.kill_node()
    own_cluster.start_node()
    workloads.wait_until(lambda: workloads.status_of()["restartCount"] == 1, "a restart")
    workloads.wait_ready()
    assert workloads.pod()["status"]["podIP"] == address


def test_a_paused_api_server_answers_again_when_it_is_resumed(own_cluster: Cluster) -> None:
    own_cluster.pause_apiserver()
    hung = own_cluster.try_kubectl("get", "ns", "--request-timeout=1s")
    own_cluster.resume_apiserver()
    assert hung.returncode != 0
    assert "default" in own_cluster.kubectl("get", "ns")


def test_a_service_account_may_do_nothing_by_itself(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("create", "serviceaccount", "nobody", namespace=namespace)
    denied = cluster.kubectl_as("nobody", namespace).run("get", "pods")
    assert "cannot list resource" in denied.stderr


def test_pod_security_is_enforced(cluster: Cluster, namespace: str) -> None:
    label = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", namespace, label)
    refused = cluster.try_kubectl("run", "pod", "--image=x", namespace=namespace)
    assert "violates PodSecurity" in refused.stderr


def test_the_audit_log_tells_who_asked_for_what(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("create", "serviceaccount", "asker", namespace=namespace)
    asker = cluster.kubectl_as("asker", namespace)
    since = datetime.datetime.now(datetime.UTC)
    asker.run("get", "configmaps")
    user = f"system:serviceaccount:{namespace}:asker"
    entries = cluster.wait_until(
        lambda: [
            (entry.verb, entry.resource, entry.namespace, entry.code)
            for entry in cluster.audit(user=user, since=since)
            if entry.resource
        ],
        "the request in the audit log",
    )
    assert entries == [("list", "configmaps", namespace, 403)]
    assert cluster.audit(user=user, since=datetime.datetime.now(datetime.UTC)) == []


def test_a_supervisor_that_is_told_to_end_ends_what_it_holds(tmp_path: Path) -> None:
    began = time.monotonic()
    hold = Hold.new(tmp_path, remove_state=False)
    pid = hold.spawn("sleeper", ["sleep", "600"], stop_signal=signal.SIGTERM, grace=5)
    assert is_alive(pid)
    hold.shutdown()
    assert not is_alive(pid)
    assert time.monotonic() - began < 5


def test_a_killed_supervisor_takes_its_processes_along(tmp_path: Path) -> None:
    hold = Hold.new(tmp_path, remove_state=False)
    pid = hold.spawn("sleeper", ["sleep", "600"])
    supervisor = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), "the process is gone with its supervisor")
    hold.release()
