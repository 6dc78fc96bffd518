"""The life of a Pod on the process node."""

from __future__ import annotations

import time

import pytest

from devcluster.bullmq import Major
from devcluster.redis_server import RedisServer
from tests.devcluster.workloads import Json, Workloads, container, shell

pytestmark = pytest.mark.cluster

STUBBORN = "trap '' TERM; echo up; while :; do sleep 0.1; done"
"""Ignores SIGTERM."""
BUSY = "trap 'until [ -e finish ]; do sleep 0.1; done; exit 0' TERM; while :; do sleep 0.1; done"
"""Ends only when there is a file `finish` in its folder, as a worker ends with its job."""


def prints(workloads: Workloads, text: str) -> None:
    workloads.wait_until(lambda: text in workloads.logs(), f"the Pod prints {text!r}")


def test_a_deployment_becomes_available_and_goes_when_it_is_scaled_to_zero(
    workloads: Workloads,
) -> None:
    workloads.deploy(shell("sleep 600"), replicas=3)
    workloads.cluster.wait("deployment/web", "condition=Available", workloads.namespace)
    assert len({pod["status"]["podIP"] for pod in workloads.pods()}) == 3
    workloads.kubectl("scale", "deployment/web", "--replicas=0")
    workloads.wait_gone()


def test_a_pod_that_finishes_its_work_stays_terminating_until_it_is_done(
    workloads: Workloads,
) -> None:
    workloads.deploy(shell(BUSY), terminationGracePeriodSeconds=60)
    workloads.cluster.wait("deployment/web", "condition=Available", workloads.namespace)
    workloads.kubectl("scale", "deployment/web", "--replicas=0")
    replicas = "{.status.replicas}"
    workloads.wait_until(
        lambda: not workloads.kubectl("get", "deploy/web", "-o", f"jsonpath={replicas}"),
        "status.replicas counts no Pod any more",
    )
    [pod] = workloads.pods()
    assert "deletionTimestamp" in pod["metadata"]
    assert "running" in pod["status"]["containerStatuses"][0]["state"]
    workloads.folder(pod).joinpath("finish").touch()
    workloads.wait_gone()


def test_a_pod_that_ignores_sigterm_is_killed_after_its_grace_period(workloads: Workloads) -> None:
    workloads.run(shell(STUBBORN), terminationGracePeriodSeconds=2)
    prints(workloads, "up")
    began = time.monotonic()
    workloads.kubectl("delete", "pod", "pod", "--wait=true")
    assert 2 <= time.monotonic() - began < 20


def test_a_second_deletion_shortens_the_grace_period(workloads: Workloads) -> None:
    workloads.run(shell(STUBBORN), terminationGracePeriodSeconds=600)
    prints(workloads, "up")
    workloads.kubectl("delete", "pod", "pod", "--wait=false")
    workloads.kubectl("delete", "pod", "pod", "--grace-period=1", "--wait=true")
    assert workloads.pods() == []


def test_a_crashing_container_is_restarted_with_back_off(workloads: Workloads) -> None:
    workloads.run(shell("echo trying; exit 3"))
    workloads.wait_until(lambda: workloads.status_of().get("restartCount", 0) >= 3, "3 restarts")
    status = workloads.wait_until(
        lambda: workloads.waiting_reason() and workloads.status_of(), "back-off"
    )
    assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert workloads.logs("pod", "--previous") == "trying\n"


@pytest.mark.parametrize(
    ("policy", "code", "phase"),
    [
        pytest.param("Never", 0, "Succeeded", id="never restarted, exit 0"),
        pytest.param("Never", 7, "Failed", id="never restarted, exit 7"),
        pytest.param("OnFailure", 0, "Succeeded", id="restarted on failure, exit 0"),
    ],
)
def test_a_pod_that_ends_has_a_final_phase(
    workloads: Workloads, policy: str, code: int, phase: str
) -> None:
    workloads.run(shell(f"echo ending; exit {code}"), restartPolicy=policy)
    workloads.wait_until(
        lambda: workloads.pod()["status"].get("phase") in ("Succeeded", "Failed"), "an end"
    )
    assert workloads.pod()["status"]["phase"] == phase
    assert workloads.status_of()["state"]["terminated"]["exitCode"] == code
    assert workloads.logs() == "ending\n"


def test_a_pod_is_ready_only_while_its_probe_succeeds(workloads: Workloads) -> None:
    probe = {
        "exec": {"command": ["test", "-e", "idle"]},
        "periodSeconds": 1,
        "failureThreshold": 1,
    }
    workloads.run(shell("touch idle; sleep 600", readinessProbe=probe))
    workloads.wait_ready()
    workloads.folder(workloads.pod()).joinpath("idle").unlink()
    workloads.cluster.wait("pod/pod", "condition=Ready=false", workloads.namespace)
    assert workloads.status_of()["restartCount"] == 0


def test_a_container_that_fails_its_liveness_probe_is_restarted(workloads: Workloads) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    workloads.run(shell("sleep 600", livenessProbe=probe))
    workloads.wait_until(lambda: workloads.status_of().get("restartCount"), "a restart")
    assert workloads.status_of()["lastState"]["terminated"]["exitCode"] == 128 + 15


REFERENCES: list[Json] = [
    {"name": "PLAIN", "value": "a"},
    {"name": "FROM_SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "password"}}},
    {"name": "FROM_MAP", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "color"}}},
    {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
    {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    {"name": "BOTH", "value": "$(PLAIN)-$(FROM_SECRET)-$(NOT_THERE)-$$(PLAIN)"},
]


def test_the_environment_comes_from_values_secrets_config_maps_and_fields(
    workloads: Workloads,
) -> None:
    workloads.kubectl("create", "secret", "generic", "s", "--from-literal=password=hunter2")
    workloads.kubectl("create", "configmap", "m", "--from-literal=color=red")
    source = [{"prefix": "ALL_", "configMapRef": {"name": "m"}}]
    workloads.run(container("env", env=REFERENCES, envFrom=source), restartPolicy="Never")
    prints(workloads, "BOTH=")
    shown = dict(line.partition("=")[::2] for line in workloads.logs().splitlines())
    wanted = {
        "PLAIN": "a",
        "FROM_SECRET": "hunter2",
        "FROM_MAP": "red",
        "ALL_color": "red",
        "NAME": "pod",
        "LABEL": "pod",
        "IP": workloads.pod()["status"]["podIP"],
        "BOTH": "a-hunter2-$(NOT_THERE)-$(PLAIN)",
    }
    assert {name: shown.get(name) for name in wanted} == wanted


def test_a_missing_secret_is_named_and_its_arrival_starts_the_pod(workloads: Workloads) -> None:
    ref = {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "late", "key": "key"}}}
    workloads.run(shell("echo got $PASSWORD; sleep 600", env=[ref]))
    expected = ("CreateContainerConfigError", 'secret "late" not found')
    workloads.wait_until(lambda: workloads.waiting_reason() == expected, f"waiting: {expected}")
    workloads.kubectl("create", "secret", "generic", "late", "--from-literal=key=it")
    prints(workloads, "got it")


@pytest.mark.parametrize(
    ("fields", "reasons", "text"),
    [
        pytest.param(
            {"command": [], "image": "somewhere.example/nobody/knows:v1"},
            {"ErrImagePull", "ImagePullBackOff"},
            "not in the process node's catalogue (bullmq-operator, devcluster/bullmq-producer",
            id="unknown image without a command",
        ),
        pytest.param(
            {"command": [], "image": "devcluster/bullmq-worker:v0"},
            {"ErrImagePull", "ImagePullBackOff"},
            "has only the tags v4, v5, v6, python",
            id="unknown tag",
        ),
        pytest.param(
            {"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
            {"CreateContainerError"},
            "the process node has no mounts",
            id="a mount that a process cannot have",
        ),
        pytest.param(
            {"lifecycle": {"postStart": {"sleep": {"seconds": 1}}}},
            {"CreateContainerError"},
            "no postStart hooks",
            id="a hook that is not run",
        ),
        pytest.param(
            {"command": ["/no/such/program"]},
            {"CrashLoopBackOff"},
            "restarting failed container",
            id="no such program",
        ),
    ],
)
def test_what_cannot_run_says_why(
    workloads: Workloads, fields: Json, reasons: set[str], text: str
) -> None:
    volumes = [{"name": "data", "emptyDir": {}}]
    workloads.run({**shell("true"), **fields}, volumes=volumes)
    reason, message = workloads.wait_until(
        lambda: (found := workloads.waiting_reason()) and found[0] in reasons and found, "a reason"
    )
    assert reason in reasons
    assert text in message


def test_a_pre_stop_hook_comes_before_sigterm_within_the_grace_period(workloads: Workloads) -> None:
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "sleep 1; touch $HOME/hooked"]}}}
    script = "trap 'ls $HOME; exit 0' TERM; echo up; while :; do sleep 0.1; done"
    workloads.run(shell(script, lifecycle=hook), terminationGracePeriodSeconds=10)
    prints(workloads, "up")
    workloads.kubectl("delete", "pod", "pod", "--wait=true")
    [log] = (workloads.cluster.state / "pod-logs").glob(f"{workloads.namespace}_pod_*/main.0.log")
    assert "hooked" in log.read_text()


def test_an_empty_dir_at_tmp_is_the_temporary_folder(workloads: Workloads) -> None:
    mount = [{"name": "tmp", "mountPath": "/tmp"}]
    workloads.run(
        shell("mktemp; sleep 600", volumeMounts=mount), volumes=[{"name": "tmp", "emptyDir": {}}]
    )
    prints(workloads, "/volumes/tmp/")


def test_logs_can_be_tailed_and_followed(workloads: Workloads) -> None:
    workloads.run(
        shell("for i in 1 2 3 4; do echo line $i; sleep 0.3; done"), restartPolicy="Never"
    )
    workloads.wait_until(workloads.logs, "some output")
    assert workloads.logs("pod", "--follow").splitlines()[-1] == "line 4"
    assert workloads.logs("pod", "--tail=2") == "line 3\nline 4\n"


def test_a_pod_acts_as_its_service_account_with_its_rights_and_no_more(
    workloads: Workloads,
) -> None:
    workloads.kubectl("create", "serviceaccount", "reader")
    workloads.kubectl("create", "role", "reader", "--verb=list", "--resource=configmaps")
    account = f"{workloads.namespace}:reader"
    workloads.kubectl(
        "create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={account}"
    )
    workloads.run(
        shell("kubectl auth whoami; kubectl get configmaps; kubectl get secrets; sleep 600"),
        serviceAccountName="reader",
    )
    prints(workloads, "cannot list resource")
    assert f"system:serviceaccount:{account}" in workloads.logs()
    assert "kube-root-ca.crt" in workloads.logs()
    assert f'User "system:serviceaccount:{account}" cannot list resource "secrets"' in (
        workloads.logs()
    )


def test_a_pod_without_a_token_has_no_kubeconfig(workloads: Workloads) -> None:
    workloads.run(
        shell('echo "config:${KUBECONFIG-none}"; sleep 600'), automountServiceAccountToken=False
    )
    prints(workloads, "config:none")


@pytest.mark.parametrize("major", Major)
def test_a_real_worker_finishes_its_job_before_it_goes(
    workloads: Workloads, redis_server: RedisServer, major: Major
) -> None:
    env = {
        "REDIS_URL": redis_server.url,
        "BULLMQ_QUEUE_NAME": "orders/v1",
        "JOB_MS": "2000",
        "LEDGER": "t",
    }
    worker = {
        "name": "worker",
        "image": f"devcluster/bullmq-worker:{major}",
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "readinessProbe": {"httpGet": {"port": 8080, "path": "/ready"}, "periodSeconds": 1},
    }
    workloads.deploy(worker, name="worker", replicas=2)
    workloads.cluster.wait("deployment/worker", "condition=Available", workloads.namespace)
    workloads.run(
        {
            "name": "producer",
            "image": f"registry.example:5000/devcluster/bullmq-producer:{major}",
            "env": [*worker["env"], {"name": "COUNT", "value": "2"}],
        },
        restartPolicy="Never",
    )
    client = redis_server.client()
    workloads.wait_until(lambda: client.llen("bull:orders/v1:active") == 2, "both jobs started")
    workloads.kubectl("scale", "deployment/worker", "--replicas=0")
    workloads.wait_until(
        lambda: [pod["metadata"]["name"] for pod in workloads.pods()] == ["pod"], "workers gone"
    )
    assert client.hgetall("ledger:t:added") == {"orders/v1:1": "1", "orders/v1:2": "1"}
    assert client.hgetall("ledger:t:done") == {"orders/v1:1": "1", "orders/v1:2": "1"}
    client.close()


def test_a_pod_with_init_containers_is_refused_and_says_so(workloads: Workloads) -> None:
    workloads.run(shell("sleep 600"), initContainers=[{**shell("true"), "name": "init"}])
    expected = ("CreateContainerError", "the process node runs no init containers")
    workloads.wait_until(lambda: workloads.waiting_reason() == expected, f"waiting: {expected}")
