"""The process as a kubelet sees it: arguments, exit codes, one line on failure, signals, probes.

Against a real API server, with the rights of an admin; the rights of the manifests are tried where
the manifests are installed.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from bullmq_operator.settings import describe_settings
from devcluster.cluster import Cluster
from devcluster.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "bullmq_operator"]
PATIENCE = 60.0
STOP_SECONDS = 5.0


def environment(**variables: str) -> dict[str, str]:
    """Ours, without anything that names a cluster or a setting."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BULLMQ_OPERATOR_", "KUBE", "POD_"))
    }
    return {**kept, "PYTHONPATH": str(ROOT / "operator"), **variables}


def call(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_help_names_every_setting() -> None:
    done = call("run", "--help")
    assert done.returncode == 0
    assert [name for name, _, _ in describe_settings() if name not in done.stdout] == []


def test_the_version_is_the_packages() -> None:
    done = call("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"bullmq-operator \d+\.\d+\.\d+\n", done.stdout)


def test_a_bad_setting_ends_it_with_2_and_one_line_without_the_value() -> None:
    done = call("run", BULLMQ_OPERATOR_REDIS_URL="hunter2")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("bullmq-operator: BULLMQ_OPERATOR_REDIS_URL must be")
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr


def test_an_unknown_argument_ends_it_with_2() -> None:
    assert call("walk").returncode == 2


def test_without_a_way_to_a_cluster_it_ends_with_1_and_says_so(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "none")
    done = call("run", KUBECONFIG=nowhere, HOME=str(tmp_path), BULLMQ_OPERATOR_HTTP_PORT="0")
    assert done.returncode == 1
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["level"] == "critical"
    assert last["message"].startswith("no way to reach the API server")


@dataclass
class Running:
    """One operator process and the file it logs into."""

    process: subprocess.Popen[bytes]
    log: Path

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def said(self, message: str) -> bool:
        return any(line["message"] == message for line in self.lines())

    def wait_for(self, message: str) -> None:
        wait_until(lambda: self.said(message), f"the log line {message!r}", timeout=PATIENCE)

    def get(self, path: str) -> tuple[int, str]:
        port = next(line["http_port"] for line in self.lines() if line["message"] == "starting")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


@contextmanager
def operator(
    cluster: Cluster, namespace: str, name: str, folder: Path, kubeconfig: Path | None = None
) -> Iterator[Running]:
    """One replica that watches a namespace, with its Lease in it."""
    log = folder / f"{name}.log"
    variables = {
        "KUBECONFIG": str(kubeconfig or cluster.kubeconfig),
        "POD_NAME": name,
        "BULLMQ_OPERATOR_NAMESPACES": namespace,
        "BULLMQ_OPERATOR_LEASE_NAMESPACE": namespace,
        "BULLMQ_OPERATOR_LEASE_DURATION": "3s",
        "BULLMQ_OPERATOR_HTTP_HOST": "127.0.0.1",
        "BULLMQ_OPERATOR_HTTP_PORT": "0",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*COMMAND, "run"], env=environment(**variables), stdout=output, stderr=output
        )
    try:
        yield Running(process, log)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def with_crd(cluster: Cluster) -> Cluster:
    """The cluster, once it knows QueueVersions."""
    cluster.kubectl("apply", "-f", str(ROOT / "crds"))
    cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    return cluster


@pytest.mark.cluster
def test_before_the_crd_is_installed_it_waits_and_says_what_to_do(
    own_cluster: Cluster, tmp_path: Path
) -> None:
    with operator(own_cluster, "default", "early", tmp_path) as early:
        early.wait_for("can't list; trying again")
        status, problem = early.get("/readyz")
        assert status == 503
        assert "kubectl apply -f crds" in problem
        assert early.get("/healthz") == (200, "ok\n")
        own_cluster.kubectl("apply", "-f", str(ROOT / "crds"))
        early.wait_for("at work")
        assert early.get("/readyz") == (200, "ok\n")


@pytest.mark.cluster
def test_sigterm_ends_it_in_seconds_with_0_and_frees_the_lease(
    with_crd: Cluster, namespace: str, tmp_path: Path
) -> None:
    with operator(with_crd, namespace, "one", tmp_path) as one:
        one.wait_for("at work")
        assert one.get("/readyz") == (200, "ok\n")
        assert one.stop() == 0
        assert one.said("stopped")
    holder = with_crd.kubectl(
        "get",
        "lease",
        "bullmq-operator",
        "-o",
        "jsonpath={.spec.holderIdentity}",
        namespace=namespace,
    )
    assert holder == ""


@pytest.mark.cluster
def test_a_standby_is_ready_takes_over_and_can_be_stopped_while_it_waits(
    with_crd: Cluster, namespace: str, tmp_path: Path
) -> None:
    with (
        operator(with_crd, namespace, "one", tmp_path) as one,
        operator(with_crd, namespace, "idle", tmp_path) as idle,
    ):
        wait_until(lambda: one.said("at work") or idle.said("at work"), "one at work")
        leader, standby = (one, idle) if one.said("at work") else (idle, one)
        standby.wait_for("stands by")
        assert standby.get("/readyz") == (200, "ok\n")
        with operator(with_crd, namespace, "third", tmp_path) as third:
            third.wait_for("stands by")
            assert third.stop() == 0
        leader.process.kill()
        standby.wait_for("at work")


@pytest.mark.cluster
def test_a_holder_that_lost_its_lease_ends_with_1_and_one_line(
    with_crd: Cluster, namespace: str, tmp_path: Path
) -> None:
    with operator(with_crd, namespace, "one", tmp_path) as one:
        one.wait_for("at work")
        patch = '{"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 3600}}'
        with_crd.kubectl(
            "patch", "lease", "bullmq-operator", "--type=merge", "-p", patch, namespace=namespace
        )
        assert one.process.wait(PATIENCE) == 1
        last = one.lines()[-1]
        assert last["level"] == "critical"
        assert str(last["message"]).startswith("the Lease was lost")


@pytest.mark.cluster
def test_when_the_watches_are_refused_it_says_that_and_not_that_the_lease_was_lost(
    with_crd: Cluster, namespace: str, tmp_path: Path
) -> None:
    copy = tmp_path / "kubeconfig"
    copy.write_bytes(with_crd.kubeconfig.read_bytes())
    with operator(with_crd, namespace, "one", tmp_path) as one:
        one.wait_for("at work")
        with operator(with_crd, namespace, "idle", tmp_path, copy) as idle:
            idle.wait_for("stands by")
            config = yaml.safe_load(copy.read_text())
            config["users"][0]["user"] = {"token": "nonsense"}
            copy.write_text(yaml.safe_dump(config))  # it is connected; its watches log in later
            assert one.stop() == 0
            assert idle.process.wait(PATIENCE) == 1
            [why] = [line["message"] for line in idle.lines() if line["level"] == "critical"]
            assert str(why).startswith("the watches ended")
