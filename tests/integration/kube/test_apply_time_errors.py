"""What a user reads when the API server refuses a QueueVersion, and what it must not refuse.

With the real kubectl, both ways to apply. The cases are in apply_time_errors.yaml.
"""

import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml

from devcluster.cluster import Cluster

pytestmark = pytest.mark.cluster

CRDS = Path(__file__).resolve().parents[3] / "crds"
CASES: list[dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("apply_time_errors.yaml").read_text()
)
SMALLEST: dict[str, Any] = {
    "queue": "orders",
    "version": "2",
    "workers": [{"name": "orders-worker-v2"}],
}
HOW = pytest.mark.parametrize(
    "how",
    [
        pytest.param(("apply",), id="client-side"),
        pytest.param(("apply", "--server-side", "--force-conflicts"), id="server-side"),
    ],
)


def cases(**having: bool) -> pytest.MarkDecorator:
    """The cases that have, or don't have, a key such as `seen`."""
    return pytest.mark.parametrize(
        "case",
        [
            pytest.param(case, id=case["id"])
            for case in CASES
            if all((key in case) is wanted for key, wanted in having.items())
        ],
    )


@pytest.fixture(scope="module")
def shop(cluster: Cluster) -> Iterator[str]:
    """A namespace for the whole file: what is refused leaves nothing in it."""
    cluster.kubectl("apply", "--server-side", "-f", str(CRDS))
    cluster.wait("crd/queueversions.bullmq-operator.dev", "condition=Established")
    name = f"shop-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `change` laid over it; None removes a field."""
    result = {key: value for key, value in base.items() if change.get(key, value) is not None}
    for key, value in change.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping):
            result[key] = merged(base[key], value)
        elif value is not None:
            result[key] = value
    return result


def manifest(name: str, change: Mapping[str, Any]) -> str:
    return json.dumps(
        {
            "apiVersion": "bullmq-operator.dev/v1alpha1",
            "kind": "QueueVersion",
            "metadata": {"name": name},
            "spec": merged(SMALLEST, change),
        }
    )


def apply(
    cluster: Cluster, shop: str, name: str, change: Mapping[str, Any], how: tuple[str, ...]
) -> CompletedProcess[str]:
    return cluster.kubectl.run(*how, "-f", "-", namespace=shop, stdin=manifest(name, change))


def see(cluster: Cluster, shop: str, name: str, status: Mapping[str, Any]) -> None:
    """Write to the status, as the operator does."""
    patch = json.dumps({"status": status})
    flags = ("--subresource=status", "--type=merge", "-p", patch)
    cluster.kubectl("patch", "qv", name, *flags, namespace=shop)


def a_name() -> str:
    return f"orders-{uuid.uuid4().hex[:8]}"


def assert_refused(done: CompletedProcess[str], case: Mapping[str, Any]) -> None:
    """It names the field, says the way out, and does not repeat a secret."""
    assert done.returncode != 0, done.stdout
    assert case["field"] in done.stderr
    assert any(words in done.stderr for words in str(case["says"]).split("|")), done.stderr
    assert case.get("never", "no secret here") not in done.stderr + done.stdout


@HOW
@cases(seen=False)
def test_bad_input_is_refused_with_the_field_and_the_way_out(
    cluster: Cluster, shop: str, case: Mapping[str, Any], how: tuple[str, ...]
) -> None:
    assert_refused(apply(cluster, shop, a_name(), case["spec"], how), case)


@HOW
@cases(never=True)
def test_a_secret_that_is_added_later_is_not_repeated_either(
    cluster: Cluster, shop: str, case: Mapping[str, Any], how: tuple[str, ...]
) -> None:
    """kubectl shows the whole patch with some errors of an update."""
    name = a_name()
    assert apply(cluster, shop, name, {}, how).returncode == 0
    assert_refused(apply(cluster, shop, name, case["spec"], how), case)


@HOW
@cases(seen=True)
def test_the_identity_is_frozen_once_the_queue_was_seen(
    cluster: Cluster, shop: str, case: Mapping[str, Any], how: tuple[str, ...]
) -> None:
    name = a_name()
    assert apply(cluster, shop, name, {}, how).returncode == 0
    see(cluster, shop, name, {"queueFirstSeenAt": "2026-01-01T00:00:00Z"})
    assert_refused(apply(cluster, shop, name, case["spec"], how), case)


@HOW
def test_a_queue_name_can_not_be_removed_once_the_queue_was_seen(
    cluster: Cluster, shop: str, how: tuple[str, ...]
) -> None:
    """Without it the queue would be another one. A rule on the field is not run on removal."""
    name = a_name()
    assert apply(cluster, shop, name, {"queueName": "orders"}, how).returncode == 0
    see(cluster, shop, name, {"queueFirstSeenAt": "2026-01-01T00:00:00Z"})
    done = apply(cluster, shop, name, {}, how)
    assert done.returncode != 0
    assert "spec.queueName: Forbidden: queueName can't change once" in done.stderr


@cases(seen=True)
def test_a_wrong_identity_can_be_corrected_until_the_queue_was_seen(
    cluster: Cluster, shop: str, case: Mapping[str, Any]
) -> None:
    name = a_name()
    apply(cluster, shop, name, {}, ("apply",))
    done = apply(cluster, shop, name, case["spec"], ("apply",))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"redis": {"url": "redis://new:6379"}}, id="where the Redis is"),
        pytest.param({"order": 7}, id="the order"),
        pytest.param({"state": "Retired"}, id="the state"),
        pytest.param({"workers": []}, id="the workloads"),
        pytest.param({"drain": {"timeout": "2h"}}, id="the deadline"),
    ],
)
def test_all_but_the_identity_may_change_once_the_queue_was_seen(
    cluster: Cluster, shop: str, change: Mapping[str, Any]
) -> None:
    name = a_name()
    apply(cluster, shop, name, {}, ("apply",))
    see(cluster, shop, name, {"queueFirstSeenAt": "2026-01-01T00:00:00Z"})
    done = apply(cluster, shop, name, change, ("apply",))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"queueName": r"a/b*c?d[e]\f{g} h"}, id="odd signs in the queue name"),
        pytest.param({"queue": "Заказы 📦"}, id="letters of another script"),
        pytest.param({"prefix": "bull:shop"}, id="colon in the prefix"),
        pytest.param({"version": "v2"}, id="version with a leading v"),
        pytest.param({"version": "0000000000000000000000000000000000000f"}, id="commit"),
        pytest.param({"redis": {}}, id="the default Redis, said so"),
        pytest.param({"redis": {"url": "redis://redis"}}, id="url without port and database"),
        pytest.param({"redis": {"url": "rediss://[::1]:6380/15"}}, id="url with all parts"),
        pytest.param({"redis": {"url": "valkeys://cache.example:6379/"}}, id="url of a Valkey"),
        pytest.param({"redis": {"topology": "Cluster"}, "prefix": "{bull}"}, id="tag in prefix"),
        pytest.param({"redis": {"topology": "Cluster"}, "queueName": "{o}"}, id="tag in name"),
        pytest.param({"redis": {"topology": "Cluster"}, "queue": "{orders}"}, id="tag in family"),
        pytest.param({"drain": {"timeout": "1m", "quietPeriod": "60s"}}, id="timeout as short"),
        pytest.param({"drain": {"timeout": "1209600s"}}, id="two weeks in seconds"),
        pytest.param({"drain": {"timeout": "8760h"}}, id="a year"),
        pytest.param({"retire": {"delay": "0s"}, "activation": {"minReady": "0s"}}, id="no delay"),
        pytest.param({"retire": {"delay": "1h30m"}}, id="duration of two units"),
        pytest.param({"retention": {"completed": {"count": 0}}}, id="keep no completed job"),
        pytest.param(
            {"retire": {"archive": {"url": "abfs://jobs@acc.dfs.core.windows.net/orders"}}},
            id="container of an archive, which looks like a user",
        ),
        pytest.param(
            {"retire": {"archive": {"url": "https://store.example:9000/jobs/orders"}}},
            id="port of an archive, which looks like a password",
        ),
    ],
)
def test_good_input_is_taken(cluster: Cluster, shop: str, change: Mapping[str, Any]) -> None:
    flags = ("apply", "--dry-run=server")
    done = apply(cluster, shop, a_name(), change, flags)
    assert done.returncode == 0, done.stderr


def test_the_smallest_object_gets_every_default_and_waits_for_the_operator(
    cluster: Cluster, shop: str
) -> None:
    name = a_name()
    apply(cluster, shop, name, {}, ("apply",))
    created = cluster.kubectl.get("qv", name, shop)
    assert created is not None
    assert created["spec"] == {
        "queue": "orders",
        "version": "2",
        "prefix": "bull",
        "workers": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "orders-worker-v2"}],
        "state": "Auto",
        "activation": {"policy": "WorkersReady", "minReady": "30s"},
        "drain": {
            "handover": "OwnWorkers",
            "quietPeriod": "1m",
            "onTimeout": "ScaleDown",
            "schedulers": "Block",
        },
        "retire": {
            "delay": "24h",
            "obliterate": "WhenDrained",
            "approval": "Automatic",
            "failedJobs": "Hold",
            "lateJobs": "Reopen",
        },
        "deletionPolicy": "Orphan",
        "suspend": False,
    }
    assert created["status"]["observedGeneration"] == -1 < created["metadata"]["generation"]
    (ready,) = created["status"]["conditions"]
    assert (ready["type"], ready["status"], ready["reason"]) == (
        "Ready",
        "Unknown",
        "WaitingForOperator",
    )


def test_kubectl_get_tells_where_a_version_is(cluster: Cluster, shop: str) -> None:
    name = a_name()
    apply(cluster, shop, name, {"queue": "columns"}, ("apply",))
    condition = {"type": "Ready", "status": "True", "reason": "Draining", "message": "-"}
    see(
        cluster,
        shop,
        name,
        {
            "phase": "Draining",
            "jobs": {"unfinished": 37},
            "workersReady": "3/3",
            "currentVersion": "3",
            "drainDeadline": "2026-01-01T00:00:00Z",
            "conditions": [condition | {"lastTransitionTime": "2026-01-01T00:00:00Z"}],
        },
    )
    selector = "--field-selector=spec.queue=columns,spec.version=2"
    header, row = cluster.kubectl("get", "qv", selector, "-o", "wide", namespace=shop).splitlines()
    age = header.split().index("AGE")
    shown = row.split()
    assert header.split() == [
        "NAME",
        "QUEUE",
        "VERSION",
        "PHASE",
        "READY",
        "UNFINISHED",
        "WORKERS",
        "AGE",
        "CURRENT-VERSION",
        "DEADLINE",
        "REASON",
    ]
    assert shown[:age] == [name, "columns", "2", "Draining", "True", "37", "3/3"]
    assert shown[age + 1 :] == ["3", "2026-01-01T00:00:00Z", "Draining"]
