"""One look at the shop's namespace and at Redis, as kubectl and SCAN show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import redis

from demo.ledger import Ledger

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One version."""

    version: str
    phase: str
    jobs: str
    """Processed of acknowledged, by the ledger."""
    workers: str
    """Ready of wanted, of the Deployment."""
    pods: int
    """Terminating ones too."""
    keys: int
    why: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All versions, in their order."""

    rows: tuple[Row, ...]

    def __getitem__(self, version: str) -> Row:
        [found] = [row for row in self.rows if row.version == version]
        return found

    def __contains__(self, version: str) -> bool:
        return any(row.version == version for row in self.rows)


def take(objects: Iterable[Json], ledger: Ledger, client: redis.Redis) -> Snapshot:
    """Make one from the namespace's QueueVersions, Deployments and Pods."""
    by_kind: dict[str, list[Json]] = {"QueueVersion": [], "Deployment": [], "Pod": []}
    for one in objects:
        by_kind[one["kind"]].append(one)
    deployments = {one["metadata"]["name"]: one for one in by_kind["Deployment"]}
    apps = [one["metadata"].get("labels", {}).get("app") for one in by_kind["Pod"]]
    rows = []
    for one in sorted(by_kind["QueueVersion"], key=lambda one: int(one["spec"]["version"])):
        version = one["spec"]["version"]
        worker = f"orders-worker-v{version}"
        rows.append(
            Row(
                version=version,
                phase=one["status"]["phase"],
                jobs=f"{ledger.of(version).done}/{ledger.of(version).added}",
                workers=_ready(deployments.get(worker)),
                pods=apps.count(worker),
                keys=len(keys_of(version, client)),
                why=_why(one["status"]),
            )
        )
    return Snapshot(tuple(rows))


def keys_of(version: str, client: redis.Redis) -> list[str]:
    """Every key of a version's queue. With the colon: `orders/v1` is not `orders/v10`."""
    return sorted(client.scan_iter(f"bull:orders/v{version}:*", count=1000))


def _ready(deployment: Json | None) -> str:
    if deployment is None:
        return "none"
    return f"{deployment['status'].get('readyReplicas', 0)}/{deployment['spec']['replicas']}"


def _why(status: Json) -> str:
    """The message of the condition that matters in this phase."""
    conditions = {one["type"]: one for one in status["conditions"]}
    if status["phase"] == "Retiring":
        steps = (conditions.get(name, {}) for name in ("WorkersScaledDown", "Obliterated"))
        return next((str(step["message"]) for step in steps if step.get("status") == "False"), "")
    telling = {"Draining": "Drained", "Held": "Held", "Retired": "Retired"}
    condition = conditions.get(telling.get(status["phase"], "Ready"), {})
    return str(condition.get("message", ""))
