"""Objects as the API server sends them, in the domain's words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bullmq_operator.domain.names import (
    RedisSource,
    SecretKeyRef,
    Sentinel,
    VersionKey,
    WorkloadKey,
)
from bullmq_operator.domain.observation import QueueVersion, Workload
from bullmq_operator.domain.spec import (
    Activation,
    ActivationPolicy,
    Drain,
    FailedJobs,
    Keep,
    LateJobs,
    Obliterate,
    OnTimeout,
    Retention,
    Retire,
    Spec,
    State,
    WorkloadRef,
)
from bullmq_operator.kube.codec import (
    MalformedObjectError,
    parse_version,
    parse_workload,
    scaling_floor,
    suspended,
)

METADATA = {
    "namespace": "shop",
    "name": "orders-v2",
    "uid": "u-1",
    "resourceVersion": "7",
    "generation": 3,
}


def version_with(**spec: Any) -> QueueVersion:
    return parse_version({"metadata": METADATA, "spec": {"queue": "orders", "version": "2"} | spec})


def secret(name: str, key: str) -> dict[str, Any]:
    return {"secretKeyRef": {"name": name, "key": key}}


def test_the_smallest_version_has_the_defaults() -> None:
    assert version_with() == QueueVersion(
        VersionKey("shop", "orders-v2"), "u-1", 3, "7", Spec("orders", "2")
    )


def test_all_that_a_spec_may_say_arrives() -> None:
    spec = version_with(
        order=3,
        queueName="orders",
        prefix="{bull}",
        workers=[{"name": "a"}, {"name": "b", "kind": "StatefulSet", "apiVersion": "apps/v1"}],
        state="Pinned",
        activation={"policy": "Manual", "minReady": "0s"},
        drain={
            "handover": "Successor",
            "quietPeriod": "1h30m",
            "timeout": "48h",
            "onTimeout": "Discard",
            "schedulers": "Remove",
        },
        retire={
            "delay": "90s",
            "obliterate": "Never",
            "approval": "Manual",
            "failedJobs": "Discard",
            "archive": {"url": "s3://b/p"},
            "lateJobs": "Hold",
        },
        retention={"failed": {"count": 1, "age": "24h"}},
        deletionPolicy="Retire",
        suspend=True,
    ).spec
    assert spec == Spec(
        queue="orders",
        version="2",
        order=3,
        queue_name="orders",
        prefix="{bull}",
        workers=(WorkloadRef("a"), WorkloadRef("b", "StatefulSet")),
        state=State.PINNED,
        activation=Activation(ActivationPolicy.MANUAL, timedelta(0)),
        drain=Drain(
            "Successor",
            timedelta(minutes=90),
            timedelta(hours=48),
            OnTimeout.DISCARD,
            "Remove",
        ),
        retire=Retire(
            timedelta(seconds=90),
            Obliterate.NEVER,
            "Manual",
            FailedJobs.DISCARD,
            archive=True,
            late_jobs=LateJobs.HOLD,
        ),
        retention=Retention(failed=Keep(timedelta(hours=24), 1)),
        deletion_policy="Retire",
        suspend=True,
    )


@pytest.mark.parametrize(
    ("redis", "expected"),
    [
        pytest.param({}, RedisSource(), id="the operator's default"),
        pytest.param(
            {"url": "redis://r:6379/1", "passwordFrom": secret("s", "p")},
            RedisSource(url="redis://r:6379/1", password_from=SecretKeyRef("s", "p")),
            id="a URL and a password",
        ),
        pytest.param({"tls": {}}, RedisSource(tls=True), id="an empty tls switches it on"),
        pytest.param(
            {"tls": {"caFrom": {"configMapKeyRef": {"name": "ca", "key": "pem"}}}},
            RedisSource(tls=True, ca_from=SecretKeyRef("ca", "pem", "ConfigMap")),
            id="a CA from a ConfigMap",
        ),
        pytest.param(
            {"sentinel": {"masterName": "m", "nodes": ["a:1"], "passwordFrom": secret("s", "p")}},
            RedisSource(sentinel=Sentinel("m", ("a:1",), 0, SecretKeyRef("s", "p"))),
            id="sentinel",
        ),
    ],
)
def test_where_the_queue_lives(redis: dict[str, Any], expected: RedisSource) -> None:
    assert version_with(redis=redis).spec.redis == expected


def test_words_of_a_newer_crd_become_what_changes_least() -> None:
    spec = version_with(
        state="Paused",
        activation={"policy": "Weighted"},
        drain={"onTimeout": "Explode"},
        retire={"obliterate": "Sometimes", "failedJobs": "Retry", "lateJobs": "Bounce"},
        someday={"x": 1},
    ).spec
    assert spec == Spec(
        "orders",
        "2",
        state=State.PINNED,
        activation=Activation(ActivationPolicy.MANUAL),
        drain=Drain(on_timeout=OnTimeout.HOLD),
        retire=Retire(
            obliterate=Obliterate.NEVER, failed_jobs=FailedJobs.HOLD, late_jobs=LateJobs.HOLD
        ),
    )


@pytest.mark.parametrize("duration", ["", "2d", "1.5h", "-1s", "30", "1s1m"])
def test_a_bad_duration_names_the_object(duration: str) -> None:
    with pytest.raises(MalformedObjectError, match="shop/orders-v2"):
        version_with(drain={"quietPeriod": duration})


def test_deletion_and_approval_are_read_from_the_metadata() -> None:
    metadata = METADATA | {
        "deletionTimestamp": "2026-11-23T12:00:00Z",
        "annotations": {"bullmq-operator.dev/approve": "vanished"},
    }
    version = parse_version({"metadata": metadata, "spec": {"queue": "orders", "version": "2"}})
    assert (version.deleting, version.approve) == (True, "vanished")


def a_deployment(**metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": METADATA | metadata,
        "spec": {"replicas": 3, "selector": {"matchLabels": {"b": "2", "a": "1"}}},
        "status": {"observedGeneration": 3, "readyReplicas": 2},
    }


def entry(manager: str, time: str, fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"manager": manager, "time": time, "fieldsV1": {"f:spec": fields}} | more


def test_a_workload_is_slim() -> None:
    assert parse_workload(a_deployment()) == Workload(
        key=WorkloadKey("shop", "Deployment", "orders-v2"),
        uid="u-1",
        resource_version="7",
        replicas=3,
        ready_replicas=2,
        observed=True,
        selector=(("a", "1"), ("b", "2")),
    )


def test_a_workload_is_not_observed_before_its_controller_looked() -> None:
    assert not parse_workload(a_deployment(generation=4)).observed


@pytest.mark.parametrize(
    ("managed_fields", "manager"),
    [
        pytest.param([], None, id="nothing is recorded"),
        pytest.param([entry("kubectl", "1", {"f:template": {}})], None, id="nobody owns it"),
        pytest.param(
            [entry("argocd", "1", {"f:replicas": {}}), entry("x", "2", {"f:template": {}})],
            "argocd",
            id="who applied it",
        ),
        pytest.param(
            [entry("kubectl", "1", {"f:replicas": {}}, subresource="scale")],
            "kubectl",
            id="who scaled it",
        ),
        pytest.param(
            [entry("argocd", "2", {"f:replicas": {}}), entry("us", "1", {"f:replicas": {}})],
            "argocd",
            id="the last of several",
        ),
    ],
)
def test_who_set_the_replicas(managed_fields: list[Any], manager: str | None) -> None:
    found = parse_workload(a_deployment(managedFields=managed_fields))
    assert found.replicas_manager == manager


def test_an_autoscaler_names_its_workload_and_its_floor() -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "orders"}
    scaler = {"metadata": {"namespace": "shop"}, "spec": {"scaleTargetRef": target}}
    key = WorkloadKey("shop", "Deployment", "orders")
    assert scaling_floor(scaler) == (key, 1)
    scaler["spec"]["minReplicas"] = 0  # type: ignore[assignment]
    assert scaling_floor(scaler) == (key, 0)


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("false", False), (None, False)])
def test_a_namespace_is_suspended_by_its_annotation(value: str | None, expected: bool) -> None:
    annotations = {} if value is None else {"bullmq-operator.dev/suspend": value}
    assert suspended({"metadata": {"annotations": annotations}}) is expected
