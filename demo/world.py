"""The cluster, Redis and the operator in it, and how the story acts on them: with kubectl."""

from __future__ import annotations

import base64
import json
import shlex
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import redis

from demo import snapshot
from demo.ledger import Ledger
from demo.screen import Screen
from demo.snapshot import Snapshot
from devcluster import bullmq, tools
from devcluster.cluster import Cluster
from devcluster.errors import DevclusterError
from devcluster.redis_server import RedisServer
from devcluster.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent
SYSTEM, SHOP = "bullmq-system", "shop"
OPERATOR = f"system:serviceaccount:{SYSTEM}:bullmq-operator"
LOOK_SECONDS = 0.4
"""Between two looks: each is one kubectl."""
BYSTANDER = "orders/v10"
"""A queue of another team that only begins with the same characters."""


class StoryError(DevclusterError):
    """kubectl refused what the story does."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything that runs, until `stop` or `leave`."""

    cluster: Cluster
    server: RedisServer
    client: redis.Redis
    screen: Screen

    @classmethod
    def create(cls, screen: Screen) -> World:
        """Start it all, about 10 s; the very first time the control plane is compiled before."""
        screen.chapter("A real Kubernetes API server and a real Redis, on this machine")
        with ExitStack() as undo:
            cluster = undo.enter_context(Cluster.create())
            screen.seen(f"Kubernetes at {cluster.server}, with RBAC on")
            server = undo.enter_context(RedisServer())
            screen.seen(f"Redis at {server.url}, with its append-only file on")
            world = cls(cluster, server, server.client(), screen)
            undo.pop_all()
        return world

    def stop(self) -> None:
        """End every process and remove every file."""
        self.client.close()
        self.cluster.stop()
        self.server.stop()

    def leave(self) -> None:
        """Let it run on."""
        self.client.close()
        self.cluster.keep()
        self.server.keep()

    def exports(self) -> list[str]:
        """What a shell needs to go on by hand."""
        return [
            f"export KUBECONFIG={self.cluster.kubeconfig} PATH={tools.kubectl().parent}:$PATH",
            f"export REDIS_URL={self.server.url}",
        ]

    # --- act -------------------------------------------------------------------------------------

    def run(self, line: str, *, shown: str | None = None) -> str:
        """One kubectl command as a person would type it, shown and run."""
        self.screen.command(shown or line)
        _, *words = shlex.split(line)
        done = subprocess.run(
            [str(tools.kubectl()), *words],
            cwd=ROOT,
            env=self.cluster.kubectl.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            raise StoryError(f"`{shown or line}` failed: {done.stderr.strip()}")
        return done.stdout

    def add_bystander(self) -> None:
        """Jobs in a queue that nobody mentions to the operator."""
        bullmq.run(self.server.url, BYSTANDER, ["addBulk", bullmq.jobs(5)])

    # --- look ------------------------------------------------------------------------------------

    def look(self) -> Snapshot:
        """What kubectl and Redis show now."""
        kinds = "queueversions,deployments,pods"
        answer = self.cluster.kubectl("get", kinds, "-o", "json", namespace=SHOP)
        return snapshot.take(json.loads(answer)["items"], self.ledger(), self.client)

    def watch(self, come: Callable[[Snapshot], bool], what: str, timeout: float) -> Snapshot:
        """Show what happens until something has come.

        Raises WaitTimeoutError when it does not.
        """
        last: list[Snapshot] = []

        def probe() -> bool:
            now = self.look()
            last[:] = [now]
            self.screen.show(now)
            return come(now)

        wait_until(probe, what, timeout, interval=LOOK_SECONDS)
        self.screen.seen(what)
        return last[0]

    def ledger(self) -> Ledger:
        """What the producers and the workers noted, apart from BullMQ's own keys."""
        return Ledger.read(self.client)

    def fingerprint(self) -> dict[str, str]:
        """The bystander's keys with their values, byte by byte."""
        return {
            key: base64.b64encode(self._dump(key)).decode()
            for key in sorted(self.client.scan_iter(f"bull:{BYSTANDER}:*"))
        }

    def _dump(self, key: str) -> bytes:
        with redis.Redis.from_url(self.server.url) as raw:
            value = raw.dump(key)
        return value if isinstance(value, bytes) else b""

    def last_job_done(self, version: str) -> str:
        """When a version's workers finished their last job, by their own logs: ISO, UTC."""
        logs = self.cluster.state / "pod-logs"
        times = [
            entry["time"]
            for log in logs.glob(f"{SHOP}_orders-worker-v{version}-*/**/*.log")
            for line in log.read_text().splitlines()
            if line.startswith("{") and (entry := json.loads(line))["event"] == "done"
        ]
        return max(times, default="")

    def first_scale(self, version: str) -> str:
        """When the operator first wrote a version's scale, by the API server's audit log."""
        times = [
            entry.time.isoformat()
            for entry in self.cluster.audit(user=OPERATOR)
            if entry.is_write
            and entry.resource == "deployments/scale"
            and entry.name == f"orders-worker-v{version}"
        ]
        return min(times, default="")

    def clues(self) -> str:
        """What a person would look at first when the story stopped."""
        questions = (
            ("get", "queueversions,deployments,pods", "-n", SHOP, "-o", "wide"),
            ("get", "events", "-n", SHOP, "--sort-by=.metadata.creationTimestamp"),
            ("get", "pods", "-n", SYSTEM),
            ("logs", "deployment/bullmq-operator", "-n", SYSTEM, "--tail=25"),
        )
        return "\n".join(self.cluster.kubectl.run(*question).stdout for question in questions)
