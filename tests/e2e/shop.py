"""A team's namespace: workers and versions of the queue "orders", and what became of its jobs."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from typing import Any

import redis

from devcluster import bullmq
from devcluster.audit import AuditEntry
from devcluster.bullmq import Major
from devcluster.cluster import Cluster
from devcluster.redis_server import RedisServer
from devcluster.waiting import wait_until
from tests.e2e.installation import OPERATOR

Json = dict[str, Any]
LEDGER = "shop"
STORY_SECONDS = 60.0
LATER = {"delay": 3_600_000}
"""Job options: due when the test promotes it, however slow the machine is."""


@dataclass(frozen=True, slots=True)
class Shop:
    """Everything in one namespace and one Redis."""

    cluster: Cluster
    namespace: str
    redis: RedisServer
    client: redis.Redis
    url: str = ""
    """For BullMQ, where it is not just the server's own."""
    source: Json | None = None
    """`spec.redis`, where it is more than a URL."""
    prefix: str = "bull"
    major: Major = Major.V6
    """Of the BullMQ that adds and works."""

    # --- act -------------------------------------------------------------------------------------

    def workers(self, *versions: str, name: str = "", replicas: int = 1) -> str:
        """A Deployment of BullMQ workers on these versions' queues; ready once it is attached."""
        name = name or f"worker-v{versions[0]}"
        environment = {
            "REDIS_URL": self.url or self.redis.url,
            "BULLMQ_PREFIX": self.prefix,
            "BULLMQ_QUEUE_NAMES": json.dumps([f"orders/v{version}" for version in versions]),
            "LEDGER": LEDGER,
        }
        container = {
            "name": "worker",
            "image": f"devcluster/bullmq-worker:{self.major}",
            "env": [{"name": key, "value": value} for key, value in environment.items()],
            "readinessProbe": {"httpGet": {"port": 8080}, "periodSeconds": 1},
        }
        spec = {"containers": [container], "terminationGracePeriodSeconds": 60}
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name}}, "spec": spec},
            },
        }
        self.cluster.kubectl.apply(deployment, self.namespace)
        if replicas != 1:
            self.scale(name, replicas)
        return name

    def declare(self, version: str, *workers: str, **over: Any) -> None:
        """A QueueVersion with delays short enough for a test; `over` replaces parts of its spec."""
        spec = {
            "queue": "orders",
            "version": version,
            "prefix": self.prefix,
            "redis": self.source or {"url": self.redis.url},
            "workers": [{"name": name} for name in workers],
            "activation": {"minReady": "0s"},
            "drain": {"quietPeriod": "1s"},
            "retire": {"delay": "1s"},
        }
        self.cluster.kubectl.apply(
            {
                "apiVersion": "bullmq-operator.dev/v1alpha1",
                "kind": "QueueVersion",
                "metadata": {"name": f"orders-v{version}"},
                "spec": spec | over,
            },
            self.namespace,
        )

    def release(self, version: str, *, replicas: int = 1, **over: Any) -> None:
        """Workers and QueueVersion of a version; returns when it is current."""
        self.declare(version, self.workers(version, replicas=replicas), **over)
        self.wait_phase(version, "Current")
        self.wait_ready(f"worker-v{version}", replicas)

    def add(self, version: str, count: int, *, data: Any = None, opts: Any = None) -> set[str]:
        """Jobs that Redis has acknowledged, as the ledger names them."""
        added = self.on_queue(version, "addBulk", bullmq.jobs(count, data=data, opts=opts))
        return {f"orders/v{version}:{job['id']}" for job in added}

    def on_queue(self, version: str, *step: Any) -> Any:
        """One call of BullMQ's Queue."""
        url, queue = self.url or self.redis.url, f"orders/v{version}"
        return bullmq.run(url, queue, list(step), prefix=self.prefix, major=self.major)[0]

    def patch(self, version: str, **spec: Any) -> None:
        """`kubectl patch` of a QueueVersion's spec."""
        merge = ("--type=merge", "-p", json.dumps({"spec": spec}))
        self.kubectl("patch", "queueversion", f"orders-v{version}", *merge)

    def scale(self, deployment: str, replicas: int) -> None:
        """`kubectl scale`."""
        self.kubectl("scale", f"deployment/{deployment}", f"--replicas={replicas}")

    def kubectl(self, *args: str) -> str:
        """kubectl in this namespace."""
        return self.cluster.kubectl(*args, namespace=self.namespace)

    # --- look ------------------------------------------------------------------------------------

    def status(self, version: str) -> Json:
        """A QueueVersion's status."""
        found = self.cluster.kubectl.get("queueversion", f"orders-v{version}", self.namespace)
        assert found is not None
        status: Json = found["status"]
        return status

    def condition(self, version: str, kind: str) -> Json:
        """One condition; empty when it is absent."""
        found = [one for one in self.status(version)["conditions"] if one["type"] == kind]
        return found[0] if found else {}

    def replicas(self, deployment: str) -> int:
        """What is wanted of a Deployment."""
        found = self.cluster.kubectl.get("deployment", deployment, self.namespace)
        assert found is not None
        replicas: int = found["spec"]["replicas"]
        return replicas

    def pods(self, deployment: str) -> list[Json]:
        """Its Pods, terminating ones too."""
        found = self.cluster.kubectl.list("pods", self.namespace, selector=f"app={deployment}")
        return list(found)

    def ledger(self) -> dict[str, int]:
        """How often each job was processed, by a record apart from BullMQ's keys."""
        counted: Any = self.client.hgetall(f"ledger:{LEDGER}:done")
        return {job: int(count) for job, count in counted.items()}

    def done(self) -> set[str]:
        """The jobs that were processed."""
        return set(self.ledger())

    def done_times(self) -> list[datetime.datetime]:
        """When jobs were done, in order, by the logs of the workers that did them."""
        return sorted(
            datetime.datetime.fromisoformat(entry["time"])
            for log in self.cluster.state.glob(f"pod-logs/{self.namespace}_*/*.log")
            for entry in map(json.loads, log.read_text().splitlines())
            if entry["event"] == "done"
        )

    def writes(self, since: datetime.datetime | None = None) -> list[AuditEntry]:
        """What the operator wrote in this namespace, in order, by the API server's audit log."""
        return [
            entry
            for entry in self.cluster.audit(user=OPERATOR, since=since)
            if entry.is_write and entry.namespace == self.namespace
        ]

    def scalings(self, deployment: str) -> list[datetime.datetime]:
        """When the operator scaled a Deployment."""
        wanted = ("deployments/scale", deployment)
        return [one.time for one in self.writes() if (one.resource, one.name) == wanted]

    def events(self, version: str) -> dict[str, str]:
        """The messages of a QueueVersion's Events, by reason; of two alike, the later."""
        field = f"--field-selector=involvedObject.name=orders-v{version}"
        found = json.loads(self.kubectl("get", "events", "-o", "json", field))["items"]
        found.sort(key=lambda event: event["lastTimestamp"])
        return {event["reason"]: event["message"] for event in found}

    def keys(self, version: str) -> list[str]:
        """What is left of a version's queue in Redis."""
        return sorted(self.client.scan_iter(f"{self.prefix}:orders/v{version}:*", count=1000))

    # --- wait ------------------------------------------------------------------------------------

    def wait_phase(self, version: str, phase: str, timeout: float = STORY_SECONDS) -> None:
        """Until a QueueVersion is in a phase."""
        wait_until(
            lambda: self.status(version)["phase"] == phase,
            f"orders-v{version} {phase}",
            timeout,
            describe=lambda: json.dumps(self.status(version), indent=1),
        )

    def wait_condition(self, version: str, kind: str, **fields: str) -> Json:
        """Until a condition has these fields, such as status="True"; returns it."""

        def found() -> Json | None:
            condition = self.condition(version, kind)
            return condition if fields.items() <= condition.items() else None

        return wait_until(
            found,
            f"{kind} of orders-v{version} with {fields}",
            STORY_SECONDS,
            describe=lambda: json.dumps(self.status(version), indent=1),
        )

    def wait_ready(self, deployment: str, replicas: int) -> None:
        """Until all Pods of a Deployment are ready."""
        rollout = ("rollout", "status", f"deployment/{deployment}", "--timeout=60s")
        self.kubectl(*rollout)
        assert self.replicas(deployment) == replicas

    def wait_done(self, jobs: set[str], times: int = 1) -> None:
        """Until all of these jobs were processed. `times`: an obliterated queue counts its ids
        anew, so what the ledger takes for the same job is another."""

        def all_are() -> bool:
            ledger = self.ledger()
            return all(ledger.get(job, 0) >= times for job in jobs)

        wait_until(all_are, f"{len(jobs)} jobs done", STORY_SECONDS)

    def wait_polls(self, count: int = 6) -> None:
        """Until the operator has asked this Redis so often again: time enough to do something.

        Redis says who asks: the operator's client is redis-py, that of BullMQ is not.
        """
        asked = 0
        with self.client.monitor() as monitor:
            while asked < count:
                command = monitor.next_command()
                asked += command["command"].startswith("EVALSHA") and self._is_operator(command)

    def _is_operator(self, command: Json) -> bool:
        address = f"{command['client_address']}:{command['client_port']}"
        libraries = {one["addr"]: one.get("lib-name", "") for one in self.client.client_list()}
        return libraries.get(address, "").startswith("redis-py")
