"""The manifests as a user applies them, and what the real authorizer makes of their rights.

On a cluster of its own, without a node: the pods are created and nobody runs them.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster.cluster import Cluster

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = sorted((ROOT / "manifests/examples").glob("*.yaml"))
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"


@pytest.fixture(scope="module")
def installed() -> Iterator[Cluster]:
    """Both installations, with the commands that they name: all namespaces, and `shop` alone."""
    with Cluster.create(with_node=False) as cluster:
        kubectl = cluster.kubectl
        kubectl("apply", "-f", str(ROOT / "crds"), "-f", str(ROOT / "manifests/install.yaml"))
        cluster.wait("crd/queueversions.bullmq-operator.dev", "condition=Established")
        for namespace in ("shop", "elsewhere"):
            kubectl("create", "namespace", namespace)
        kubectl("label", "namespace", "shop", RESTRICTED)
        own = str(ROOT / "manifests/namespace-install.yaml")
        kubectl("apply", "-f", own, namespace="shop")
        yield cluster


def may(cluster: Cluster, user: str, namespace: str, *action: str) -> bool:
    """Ask the API server whether a ServiceAccount (`namespace:name`) may do something."""
    who = f"--as=system:serviceaccount:{user}"
    done = cluster.kubectl.run("auth", "can-i", *action, who, namespace=namespace)
    assert done.stdout.strip() in {"yes", "no"}, done.stderr
    return done.stdout.strip() == "yes"


def assert_allowed(
    cluster: Cluster, user: str, namespace: str, action: tuple[str, ...], allowed: bool
) -> None:
    """Rights and short names take a moment to reach the API server's caches; refusals don't."""
    if allowed:
        cluster.wait_until(lambda: may(cluster, user, namespace, *action), "the right to be there")
    else:
        assert not may(cluster, user, namespace, *action)


@pytest.mark.parametrize("namespace", ["bullmq-system", "shop"])
def test_the_pod_is_admitted_where_pods_are_restricted(installed: Cluster, namespace: str) -> None:
    selector = "app.kubernetes.io/name=bullmq-operator"
    pods = installed.wait_until(
        lambda: installed.kubectl.list("pods", namespace, selector=selector),
        f"the operator's pod in {namespace}",
    )
    assert pods[0]["spec"]["serviceAccountName"] == "bullmq-operator"


@pytest.mark.parametrize(
    "manifest",
    ["install.yaml", "namespace-install.yaml", *(f"examples/{e.name}" for e in EXAMPLES)],
)
def test_a_gitops_tool_can_apply_it_without_a_warning(installed: Cluster, manifest: str) -> None:
    """By server-side apply, as another manager; every field is known, and none is deprecated."""
    namespace = None if manifest == "install.yaml" else "elsewhere"
    flags = ("--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
    path = str(ROOT / "manifests" / manifest)
    manager = "--field-manager=gitops"
    done = installed.kubectl.run("apply", *flags, manager, "-f", path, namespace=namespace)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_applies(installed: Cluster, example: Path) -> None:
    done = installed.kubectl.run("apply", "-f", str(example), namespace="elsewhere")
    assert done.returncode == 0, done.stderr
    assert "queueversion.bullmq-operator.dev/" in done.stdout


@pytest.mark.parametrize(
    ("namespace", "action", "allowed"),
    [
        pytest.param("elsewhere", ("list", "qv"), True, id="sees QueueVersions"),
        pytest.param(
            "elsewhere", ("patch", "qv", "--subresource=status"), True, id="writes their status"
        ),
        pytest.param("elsewhere", ("patch", "qv"), False, id="can't change what is wanted"),
        pytest.param(
            "elsewhere", ("patch", "deployments", "--subresource=scale"), True, id="scales"
        ),
        pytest.param("elsewhere", ("patch", "deployments"), False, id="can't change a workload"),
        pytest.param("elsewhere", ("delete", "pods"), False, id="can't delete a pod"),
        pytest.param("elsewhere", ("get", "secrets"), True, id="reads a Secret by name"),
        pytest.param("elsewhere", ("list", "secrets"), False, id="can't list Secrets"),
        pytest.param("elsewhere", ("create", "events"), True, id="tells what it did"),
        pytest.param(
            "bullmq-system", ("update", "lease/bullmq-operator"), True, id="its own Lease"
        ),
        pytest.param("bullmq-system", ("update", "lease/another"), False, id="no other Lease"),
        pytest.param("elsewhere", ("create", "leases"), False, id="no Lease elsewhere"),
    ],
)
def test_the_operator_of_the_cluster(
    installed: Cluster, namespace: str, action: tuple[str, ...], allowed: bool
) -> None:
    assert_allowed(installed, "bullmq-system:bullmq-operator", namespace, action, allowed)


@pytest.mark.parametrize(
    ("namespace", "action", "allowed"),
    [
        pytest.param("shop", ("list", "qv"), True, id="sees QueueVersions here"),
        pytest.param("elsewhere", ("list", "qv"), False, id="sees none elsewhere"),
        pytest.param("shop", ("patch", "statefulsets", "--subresource=scale"), True, id="scales"),
        pytest.param(
            "elsewhere", ("patch", "statefulsets", "--subresource=scale"), False, id="not elsewhere"
        ),
        pytest.param("shop", ("get", "secrets"), True, id="reads a Secret by name here"),
        pytest.param("elsewhere", ("get", "secrets"), False, id="reads none elsewhere"),
        pytest.param("shop", ("update", "lease/bullmq-operator"), True, id="its own Lease"),
    ],
)
def test_the_operator_of_one_namespace(
    installed: Cluster, namespace: str, action: tuple[str, ...], allowed: bool
) -> None:
    assert_allowed(installed, "shop:bullmq-operator", namespace, action, allowed)


def test_the_operator_of_one_namespace_reads_that_namespace_and_no_other(
    installed: Cluster,
) -> None:
    """The Role names no namespace: the authorizer takes one as being inside itself."""
    who = "--as=system:serviceaccount:shop:bullmq-operator"
    own = installed.kubectl.run("get", "namespace", "shop", who)
    other = installed.kubectl.run("get", "namespace", "elsewhere", who)
    assert own.returncode == 0, own.stderr
    assert "Forbidden" in other.stderr


@pytest.mark.parametrize(
    ("role", "action", "allowed"),
    [
        pytest.param("view", ("list", "qv"), True, id="view sees"),
        pytest.param("view", ("create", "qv"), False, id="view can't create"),
        pytest.param("edit", ("create", "qv"), True, id="edit creates"),
        pytest.param("edit", ("patch", "qv", "--subresource=status"), False, id="edit: no status"),
        pytest.param("edit", ("approve", "qv"), False, id="edit can't approve"),
        pytest.param("bullmq-queueversions-approve", ("approve", "qv"), True, id="approve does"),
    ],
)
def test_people_with_a_role(
    installed: Cluster, role: str, action: tuple[str, ...], allowed: bool
) -> None:
    person = f"person-{role}"
    binding = ("rolebinding", person, f"--clusterrole={role}", f"--serviceaccount=shop:{person}")
    made = installed.kubectl.run("create", *binding, namespace="shop")
    assert made.returncode == 0 or "already exists" in made.stderr, made.stderr
    installed.wait_until(
        lambda: may(installed, f"shop:{person}", "shop", *action) is allowed,
        f"{role} may{'' if allowed else ' not'} {' '.join(action)}",
        timeout=10,
    )
