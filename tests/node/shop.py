"""A team's namespace: workers of two versions of a queue, producers, and what came of the jobs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import redis

from devcluster.nodetier.tier import NodeTier
from devcluster.waiting import wait_until
from tests.node.pods import Json, a_pod, pod_spec

LEDGER = "LEDGER"
"""The environment variable that has worker.js and producer.js note what they did, in Redis."""


@dataclass(frozen=True, slots=True)
class Shop:
    """Everything in one namespace; its queues have its name, so that tests share a Redis."""

    tier: NodeTier
    namespace: str
    client: redis.Redis

    def queue(self, version: str) -> str:
        """The BullMQ name of a version's queue."""
        return f"{self.namespace}/v{version}"

    def deploy_workers(self, version: str, *, replicas: int = 1, job_ms: int = 0) -> None:
        """A Deployment of Node BullMQ workers, ready when they are attached to the queue."""
        name = self.workers(version)
        spec = pod_spec(
            environment=self._environment(version) | {"JOB_MS": str(job_ms), "CONCURRENCY": "5"},
            readinessProbe={"httpGet": {"port": 8080}, "periodSeconds": 1},
        )
        template = {"metadata": {"labels": {"app": name}}, "spec": spec}
        self.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": name},
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": {"app": name}},
                    "template": template,
                },
            }
        )

    def scale(self, version: str, *, replicas: int) -> None:
        """`kubectl scale` of a version's workers."""
        scale = ("scale", "deployment", self.workers(version), f"--replicas={replicas}")
        self.tier.kubectl(*scale, namespace=self.namespace)

    def declare_version(self, version: str) -> None:
        """A QueueVersion with delays short enough for a test."""
        self.apply(
            {
                "apiVersion": "bullmq-operator.dev/v1alpha1",
                "kind": "QueueVersion",
                "metadata": {"name": self.version(version)},
                "spec": {
                    "queue": self.namespace,
                    "version": version,
                    "redis": {"url": self.tier.redis_url},
                    "workers": [{"name": self.workers(version)}],
                    "activation": {"minReady": "1s"},
                    "drain": {"quietPeriod": "2s"},
                    "retire": {"delay": "1s"},
                },
            }
        )

    def produce(self, version: str, *steps: Json) -> None:
        """Add jobs from a Pod; returns when Redis has acknowledged all of them."""
        name = f"producer-v{version}"
        plan = {"PLAN": json.dumps(steps)}
        environment = self._environment(version) | plan
        command = ["node", "producer.js"]
        self.apply(a_pod(name, pod_spec(environment=environment, command=command)))
        self.wait_for(f"pod/{name}", "jsonpath={.status.phase}=Succeeded")

    def version(self, version: str) -> str:
        """The name of its QueueVersion."""
        return f"queue-v{version}"

    def workers(self, version: str) -> str:
        """The name of its Deployment."""
        return f"worker-v{version}"

    def apply(self, manifest: Json) -> None:
        """`kubectl apply` here."""
        self.tier.kubectl.apply(manifest, self.namespace)

    def wait_for(self, what: str, condition: str, timeout: float = 60.0) -> None:
        """`kubectl wait` here."""
        flags = (f"--for={condition}", f"--timeout={timeout:g}s")
        self.tier.kubectl("wait", what, *flags, namespace=self.namespace, timeout=timeout + 10)

    def pods(self, version: str) -> list[Json]:
        """A version's workers, terminating ones too."""
        selector = f"app={self.workers(version)}"
        return list(self.tier.kubectl.list("pods", self.namespace, selector=selector))

    def added(self, version: str) -> set[str]:
        """The jobs whose add was acknowledged."""
        return self._ledger("added", version)

    def done(self, version: str) -> set[str]:
        """The jobs that a worker finished."""
        return self._ledger("done", version)

    def wait_done(self, version: str, timeout: float = 60.0) -> None:
        """Wait until every acknowledged job is done."""

        def all_done() -> bool:
            return bool(self.added(version)) and self.done(version) >= self.added(version)

        wait_until(
            all_done,
            f"all jobs of {self.queue(version)} done",
            timeout,
            describe=lambda: f"{len(self.done(version))} of {len(self.added(version))} done",
        )

    def keys(self, version: str) -> list[str]:
        """What is left of a version's queue in Redis."""
        return sorted(self.client.scan_iter(f"bull:{self.queue(version)}:*", count=1000))

    def _environment(self, version: str) -> dict[str, str]:
        return {
            "REDIS_URL": self.tier.redis_url,
            "BULLMQ_QUEUE_NAME": self.queue(version),
            LEDGER: self.namespace,
        }

    def _ledger(self, book: str, version: str) -> set[str]:
        names: Any = self.client.hkeys(f"ledger:{self.namespace}:{book}")
        return {name for name in names if name.startswith(f"{self.queue(version)}:")}
