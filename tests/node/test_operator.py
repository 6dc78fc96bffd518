"""The shipped manifest on a kubelet: probes, security, logs, and an orderly end."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from devcluster import tools
from devcluster.nodetier.tier import NodeTier
from devcluster.waiting import wait_until
from tests.node.installation import NAMESPACE, Operator
from tests.node.pods import a_pod

pytestmark = pytest.mark.node

STOP_SECONDS = 5.0
"""From `kubectl delete pod` until it is gone; its grace period is 30 s."""

REQUESTED_MIB = 128


def test_it_is_ready_by_its_probes_at_the_first_try(operator: Operator) -> None:
    pod = operator.pod().object()
    conditions = {one["type"]: one["status"] for one in pod["status"]["conditions"]}
    [status] = pod["status"]["containerStatuses"]
    assert conditions["Ready"] == "True"
    assert status["started"] is True
    assert status["restartCount"] == 0
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(pod["spec"]["containers"][0])


def test_its_process_has_no_rights_on_the_machine(operator: Operator) -> None:
    process = operator.pod().process()
    assert process["Uid"].split() == ["65532"] * 4
    assert process["Gid"].split() == ["65532"] * 4
    assert int(process["CapEff"], 16) == 0
    assert process["NoNewPrivs"] == "1"
    assert process["Seccomp"] == "2", "the runtime's filter is on"


def test_its_root_file_system_is_read_only(operator: Operator) -> None:
    options = "[l.split()[3].split(',')[0] for l in open('/proc/mounts') if l.split()[1] == '/']"
    assert operator.pod().python(f"import json; print(json.dumps({options}))") == ["ro"]


def test_its_namespace_refuses_pods_that_are_not_restricted(operator: Operator) -> None:
    root = a_pod("root", {"containers": [{"name": "main", "image": "any"}]})
    done = operator.tier.kubectl.run(
        "apply", "-f", "-", namespace=NAMESPACE, stdin=json.dumps(root)
    )
    assert done.returncode != 0
    assert 'violates PodSecurity "restricted' in done.stderr


def test_it_holds_its_lease_in_the_name_of_its_pod(operator: Operator) -> None:
    """It found the API server and its own rights from inside the cluster, with no kubeconfig."""
    assert operator.pod().name in operator.lease()["holderIdentity"]


def test_its_logs_are_one_json_object_a_line(operator: Operator) -> None:
    lines = operator.logs().splitlines()
    assert lines
    assert [line for line in lines if not isinstance(json.loads(line), dict)] == []


def test_its_metrics_can_be_scraped(operator: Operator) -> None:
    assert "bullmq_operator_build_info" in operator.get("/metrics")


def test_it_fits_into_the_memory_that_it_requests(operator: Operator) -> None:
    kibibytes = int(operator.pod().process()["VmRSS"].split()[0])
    assert kibibytes / 1024 < REQUESTED_MIB


def test_a_deleted_pod_ends_at_once_with_exit_code_0(operator: Operator) -> None:
    old = operator.pod().name
    with exit_code_watch(operator.tier, old) as watch:
        began = time.monotonic()
        operator.tier.kubectl("delete", "pod", old, "--wait=true", namespace=NAMESPACE)
        took = time.monotonic() - began
        wait_until(lambda: operator.pod().name != old, "a new Pod")
        watch.terminate()
        codes = (watch.stdout.read() if watch.stdout else "").split()
    assert set(codes) == {"0"}, "said at each change from its end until it is gone"
    assert took < STOP_SECONDS
    operator.wait_ready()


def exit_code_watch(tier: NodeTier, pod: str) -> subprocess.Popen[str]:
    """kubectl that prints the exit code of a Pod's container when it has ended."""
    kubectl = tier.kubectl
    code = "{.status.containerStatuses[0].state.terminated.exitCode}{'\\n'}"
    question = ("get", "pod", pod, "--watch", "--namespace", NAMESPACE, "-o", f"jsonpath={code}")
    return subprocess.Popen(
        [*kubectl.via, str(tools.kubectl()), *question],
        env=kubectl.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
