"""The cluster and the Redis that tests share, and what is shown of them when a test fails."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devcluster.cluster import Cluster
from devcluster.kubectl import Kubectl
from devcluster.paths import locked

SHOWN_ON_FAILURE = (
    ("get", "all,queueversions", "-o", "wide", "--ignore-not-found"),
    ("get", "events", "--sort-by=.metadata.creationTimestamp"),
)


@contextmanager
def shared_cluster(pointer: Path) -> Iterator[Cluster]:
    """One cluster for all workers of a test run: the first starts it, the last one out stops it.

    `pointer` is a file in a folder that all workers of this run share, and no other run does.
    """
    with locked(pointer.with_suffix(".lock")):
        cluster = _attach(pointer) or Cluster.create()
        pointer.write_text(str(cluster.state))
    try:
        yield cluster
    finally:
        cluster.release()


def _attach(pointer: Path) -> Cluster | None:
    try:
        return Cluster.attach(Path(pointer.read_text()))
    except OSError:  # no pointer yet, or the cluster went with its last user
        return None


@contextmanager
def fresh_namespace(cluster: Cluster, test_name: str) -> Iterator[str]:
    """A namespace of this test's own; its Pods are told to go when the test is over."""
    slug = re.sub(r"[^a-z0-9]+", "-", test_name.lower())[:40].strip("-")
    name = f"{slug}-{secrets.token_hex(3)}"
    cluster.kubectl("create", "namespace", name)
    try:
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


def describe_namespace(kubectl: Kubectl, namespace: str, logs: Path, lines: int = 30) -> str:
    """What a person would look at first when a test failed in this namespace."""
    parts = [kubectl.run(*args, namespace=namespace).stdout for args in SHOWN_ON_FAILURE]
    for log in sorted(logs.glob(f"{namespace}_*/*.log")):
        tail = log.read_text(errors="replace").splitlines()[-lines:]
        parts.append("\n".join([f"--- {log.parent.name}/{log.name}", *tail]))
    return "\n".join(parts)
