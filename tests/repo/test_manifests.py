"""The manifests, read as files. That the API server takes them: tests/integration/kube."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "manifests"
BIN = Path(sys.executable).parent
INSTALLATIONS = {"cluster": "install.yaml", "namespaced": "namespace-install.yaml"}
INSTALLATION = pytest.mark.parametrize("rendered", INSTALLATIONS.values())

Rule = tuple[str, str, str, tuple[str, ...]]
"""API group, resource, verb, and the names it is limited to."""


def objects(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def the(kind: str, name: str, rendered: str) -> dict[str, Any]:
    """The one object of a kind and name in a rendered file."""
    (found,) = [
        item
        for item in objects(MANIFESTS / rendered)
        if item["kind"] == kind and item["metadata"]["name"] == name
    ]
    return found


def roles(rendered: str) -> list[dict[str, Any]]:
    return [o for o in objects(MANIFESTS / rendered) if o["kind"] in {"Role", "ClusterRole"}]


def rights(role: dict[str, Any]) -> set[Rule]:
    return {
        (group, resource, verb, tuple(rule.get("resourceNames", ())))
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def container(rendered: str) -> dict[str, Any]:
    pod = the("Deployment", "bullmq-operator", rendered)["spec"]["template"]["spec"]
    (only,) = pod["containers"]
    assert isinstance(only, dict)
    return only


@pytest.mark.parametrize(("source", "rendered"), INSTALLATIONS.items())
def test_what_users_apply_is_what_the_sources_render(source: str, rendered: str) -> None:
    fresh = subprocess.run(
        [BIN / "kubectl", "kustomize", MANIFESTS / source],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    header = (MANIFESTS / source / "header.txt").read_text()
    assert (MANIFESTS / rendered).read_text() == header + fresh, "run `make manifests`"


def test_all_yaml_is_tidy() -> None:
    lint = subprocess.run(
        [BIN / "yamllint", "--strict", "-c", ROOT / ".yamllint.yaml", "crds", "manifests", "tests"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert lint.stdout == ""
    assert lint.returncode == 0


@INSTALLATION
def test_no_right_holds_a_wildcard(rendered: str) -> None:
    for role in roles(rendered):
        for group, resource, verb, _ in rights(role):
            assert "*" not in group + resource + verb, role["metadata"]["name"]


@INSTALLATION
def test_secrets_are_read_by_name_under_a_role_that_can_be_left_out(rendered: str) -> None:
    touching = {
        (role["metadata"]["name"], verb)
        for role in roles(rendered)
        for _, resource, verb, _ in rights(role)
        if resource in {"secrets", "configmaps"}
    }
    assert touching == {("bullmq-operator-secrets", "get"), ("bullmq-operator-redis", "get")}


def test_the_operator_may_do_this_and_no_more() -> None:
    assert rights(the("ClusterRole", "bullmq-operator", "install.yaml")) == {
        ("bullmq-operator.dev", "queueversions", "get", ()),
        ("bullmq-operator.dev", "queueversions", "list", ()),
        ("bullmq-operator.dev", "queueversions", "watch", ()),
        ("bullmq-operator.dev", "queueversions/status", "patch", ()),
        ("apps", "deployments", "get", ()),
        ("apps", "deployments", "list", ()),
        ("apps", "deployments", "watch", ()),
        ("apps", "statefulsets", "get", ()),
        ("apps", "statefulsets", "list", ()),
        ("apps", "statefulsets", "watch", ()),
        ("apps", "deployments/scale", "get", ()),
        ("apps", "deployments/scale", "patch", ()),
        ("apps", "statefulsets/scale", "get", ()),
        ("apps", "statefulsets/scale", "patch", ()),
        ("autoscaling", "horizontalpodautoscalers", "get", ()),
        ("autoscaling", "horizontalpodautoscalers", "list", ()),
        ("autoscaling", "horizontalpodautoscalers", "watch", ()),
        ("", "pods", "list", ()),
        ("", "namespaces", "get", ()),
        ("", "events", "create", ()),
        ("", "events", "patch", ()),
    }


def test_in_one_namespace_it_may_do_the_same() -> None:
    everywhere = rights(the("ClusterRole", "bullmq-operator", "install.yaml"))
    here = rights(the("Role", "bullmq-operator", "namespace-install.yaml"))
    assert everywhere == here


@INSTALLATION
def test_it_may_touch_only_its_own_lease(rendered: str) -> None:
    assert rights(the("Role", "bullmq-operator-lease", rendered)) == {
        ("coordination.k8s.io", "leases", "create", ()),
        ("coordination.k8s.io", "leases", "get", ("bullmq-operator",)),
        ("coordination.k8s.io", "leases", "update", ("bullmq-operator",)),
    }


@INSTALLATION
def test_of_its_own_namespace_it_reads_the_default_redis_secret_alone(rendered: str) -> None:
    assert rights(the("Role", "bullmq-operator-redis", rendered)) == {
        ("", "secrets", "get", ("bullmq-operator-redis",))
    }


def test_the_namespaced_installation_holds_nothing_of_the_cluster() -> None:
    kinds = {item["kind"] for item in objects(MANIFESTS / "namespace-install.yaml")}
    assert kinds == {"ServiceAccount", "Role", "RoleBinding", "Deployment"}
    for item in objects(MANIFESTS / "namespace-install.yaml"):
        assert "namespace" not in item["metadata"], "kubectl apply -n could not choose it"


def test_the_namespaced_operator_watches_the_namespace_it_is_in() -> None:
    environment = {e["name"]: e for e in container("namespace-install.yaml")["env"]}
    assert environment["BULLMQ_OPERATOR_NAMESPACES"]["valueFrom"] == {
        "fieldRef": {"fieldPath": "metadata.namespace"}
    }
    assert "BULLMQ_OPERATOR_NAMESPACES" not in {e["name"] for e in container("install.yaml")["env"]}


def test_people_with_edit_may_not_write_a_status_or_approve() -> None:
    edit = the("ClusterRole", "bullmq-queueversions-edit", "install.yaml")
    assert {resource for _, resource, _, _ in rights(edit)} == {"queueversions"}
    assert "approve" not in {verb for _, _, verb, _ in rights(edit)}


def test_approving_is_granted_to_nobody_by_itself() -> None:
    approve = the("ClusterRole", "bullmq-queueversions-approve", "install.yaml")
    assert rights(approve) == {("bullmq-operator.dev", "queueversions", "approve", ())}
    assert not [label for label in approve["metadata"]["labels"] if "aggregate-to" in label]


def test_the_namespace_enforces_restricted_pods() -> None:
    labels = the("Namespace", "bullmq-system", "install.yaml")["metadata"]["labels"]
    levels = {key: level for key, level in labels.items() if key.startswith("pod-security")}
    assert levels == {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/audit": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
    }


@INSTALLATION
def test_the_operator_writes_no_file_and_holds_no_privilege(rendered: str) -> None:
    pod = the("Deployment", "bullmq-operator", rendered)["spec"]["template"]["spec"]
    assert "volumes" not in pod
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container(rendered)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@INSTALLATION
def test_the_image_names_no_registry_and_has_the_version_of_the_package(rendered: str) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert container(rendered)["image"] == f"bullmq-operator:{version}"
