"""Reading: QueueVersions, workloads, Secrets, and what is said when it can't be done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bullmq_operator.domain.names import SecretKeyRef, VersionKey, WorkloadKey
from bullmq_operator.domain.observation import QueueVersion, Workload
from bullmq_operator.domain.spec import Spec
from bullmq_operator.kube import client as client_module
from bullmq_operator.kube.client import KubeClient
from bullmq_operator.kube.codec import parse_version, parse_workload
from bullmq_operator.kube.errors import (
    ForbiddenError,
    KubeError,
    SecretKeyNotFoundError,
    SecretNotFoundError,
)
from bullmq_operator.kube.pods import pods_view, selector_of
from bullmq_operator.kube.session import Session
from devcluster.cluster import Cluster
from tests.integration.kube.conftest import with_server, with_token_file

pytestmark = pytest.mark.cluster


async def test_a_list_longer_than_a_page_is_complete(
    client: KubeClient,
    namespace: str,
    a_version: Callable[..., QueueVersion],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "PAGE", 2)
    names = {a_version(f"orders-v{n}", version=str(n)).key.name for n in range(1, 6)}
    listed = await client.list_versions(namespace)
    assert {parse_version(one).key.name for one in listed} == names
    assert len(listed) == len(names)


async def test_the_servers_defaults_are_the_models(
    client: KubeClient, a_version: Callable[..., QueueVersion]
) -> None:
    obj = await client.get_version(a_version().key)
    assert obj is not None
    assert parse_version(obj).spec == Spec("orders", "1")


async def test_a_missing_version_is_a_value_and_no_failure(
    client: KubeClient, namespace: str
) -> None:
    assert await client.get_version(VersionKey(namespace, "nobody")) is None
    assert await client.get_workload(WorkloadKey(namespace, "StatefulSet", "nobody")) is None


async def test_a_listed_workload_equals_the_one_that_was_got(
    client: KubeClient, namespace: str, a_deployment: Callable[..., Workload]
) -> None:
    a_deployment()
    # The controller writes its status meanwhile, so compare what does not move.
    (listed,) = await client.list_workloads("Deployment", namespace)
    workload = parse_workload(listed)
    assert workload.key == WorkloadKey(namespace, "Deployment", "orders-v1")
    assert (workload.replicas, workload.replicas_manager) == (3, "gitops")
    assert await client.list_workloads("StatefulSet", namespace) == []


async def test_the_pods_of_a_workload_are_found_by_its_selector(
    client: KubeClient,
    cluster: Cluster,
    namespace: str,
    a_deployment: Callable[..., Workload],
) -> None:
    workload = a_deployment()
    a_deployment("another")
    cluster.wait_until(
        lambda: len(cluster.kubectl.list("pods", namespace)) == 6 or None, "six pods"
    )
    assert pods_view(await client.pods(namespace, selector_of(workload))).total == 3


async def test_an_autoscaler_is_listed(
    client: KubeClient, cluster: Cluster, namespace: str, a_deployment: Callable[..., Workload]
) -> None:
    a_deployment()
    cluster.kubectl("autoscale", "deployment", "orders-v1", "--max=3", namespace=namespace)
    (found,) = await client.list_autoscalers(namespace)
    assert found["spec"]["scaleTargetRef"]["name"] == "orders-v1"


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
async def test_a_value_is_read_from_either_kind(
    client: KubeClient, cluster: Cluster, namespace: str, kind: str
) -> None:
    words = ("secret", "generic") if kind == "Secret" else ("configmap",)
    cluster.kubectl("create", *words, "redis", "--from-literal=p=pä$$", namespace=namespace)
    assert await client.read_secret_key(namespace, SecretKeyRef("redis", "p", kind)) == "pä$$"


async def test_a_missing_secret_and_a_missing_key_are_told_apart(
    client: KubeClient, cluster: Cluster, namespace: str
) -> None:
    with pytest.raises(SecretNotFoundError, match=f'Secret "redis" .*"{namespace}"'):
        await client.read_secret_key(namespace, SecretKeyRef("redis", "password"))
    literal = "--from-literal=other=hunter2"
    cluster.kubectl("create", "secret", "generic", "redis", literal, namespace=namespace)
    with pytest.raises(SecretKeyNotFoundError) as caught:
        await client.read_secret_key(namespace, SecretKeyRef("redis", "password"))
    assert str(caught.value) == 'Secret "redis" has no key "password"'


async def test_a_value_that_is_no_text_is_named_and_never_shown(
    client: KubeClient, cluster: Cluster, namespace: str
) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    cluster.kubectl.apply(secret | {"data": {"k": "/f8="}}, namespace)
    with pytest.raises(SecretKeyNotFoundError, match="not text") as caught:
        await client.read_secret_key(namespace, SecretKeyRef("s", "k"))
    assert caught.value.__suppress_context__


async def test_a_namespace_is_suspended_by_its_annotation(
    client: KubeClient, cluster: Cluster, namespace: str
) -> None:
    assert not await client.is_suspended(namespace)
    mark = "bullmq-operator.dev/suspend=true"
    cluster.kubectl("annotate", "namespace", namespace, mark)
    assert await client.is_suspended(namespace)


async def test_a_namespace_that_may_not_be_read_is_not_suspended(client: KubeClient) -> None:
    assert not await client.is_suspended("kube-system")


async def test_a_missing_right_names_the_verb_and_the_resource(client: KubeClient) -> None:
    with pytest.raises(ForbiddenError, match='cannot list resource "queueversions"') as caught:
        await client.list_versions(None)
    assert caught.value.status == 403


async def test_a_rotated_token_is_read_anew(
    kubeconfig: Path, tmp_path: Path, namespace: str
) -> None:
    own, token = with_token_file(kubeconfig, tmp_path)
    good = token.read_text()
    token.write_text("expired")
    client = KubeClient(await Session.connect({"KUBECONFIG": str(own)}))
    try:
        with pytest.raises(KubeError) as caught:
            await client.list_versions(namespace)
        assert caught.value.status == 401
        token.write_text(f"{good}\n")
        assert await client.list_versions(namespace) == []
    finally:
        await client.close()


async def test_a_server_that_is_away_is_a_failure_without_a_status(
    kubeconfig: Path, tmp_path: Path, namespace: str
) -> None:
    own = with_server(kubeconfig, tmp_path, "https://127.0.0.1:1")
    client = KubeClient(await Session.connect({"KUBECONFIG": str(own)}))
    try:
        with pytest.raises(KubeError, match="GET /apis") as caught:
            await client.list_versions(namespace)
        assert caught.value.status is None
    finally:
        await client.close()


async def test_without_a_kubeconfig_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(KubeError, match="no way to reach the API server"):
        await Session.connect({"KUBECONFIG": str(tmp_path / "none")})
