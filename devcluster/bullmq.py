"""Real Node BullMQ from tests: operations on a queue, and what the ledger says.

bullmq.run(redis.url, "orders/v1", ["addBulk", [{"name": "job", "data": {}}]], ["getJobCounts"])
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any

from devcluster import npm, tools
from devcluster.errors import DevclusterError
from devcluster.paths import HERE

PACKAGES: Mapping[int, str] = {6: "bullmq6"}
"""npm alias by BullMQ major; see programs/package.json."""

Step = list[Any]


class ScriptError(DevclusterError):
    """BullMQ refused a step; `results` are those of the steps before it."""

    def __init__(self, message: str, step: Step, results: list[Any]) -> None:
        super().__init__(f"{step[0]}: {message}")
        self.results = results


def run(
    url: str,
    queue: str,
    *steps: Step,
    prefix: str = "bull",
    major: int = 6,
    timeout: float = 60.0,
) -> list[Any]:
    """Do the steps in one Node process and return a result for each; see programs/jobs.js.

    Raises ScriptError for the first step that BullMQ refuses.
    """
    script = {"url": url, "queue": queue, "prefix": prefix, "steps": list(steps)}
    done = subprocess.run(
        [str(tools.node()), str(HERE / "programs" / "jobs.js")],
        input=json.dumps(script),
        env=environment(major),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode != 0 or not done.stdout:
        raise DevclusterError(f"jobs.js: exit {done.returncode}: {done.stderr.strip()}")
    answer: dict[str, Any] = json.loads(done.stdout)
    if "error" in answer:
        raise ScriptError(answer["error"], list(steps[answer["step"]]), answer["results"])
    results: list[Any] = answer["results"]
    return results


def environment(major: int = 6) -> dict[str, str]:
    """What a Node process needs to run the programs outside of a Pod."""
    return os.environ | {"NODE_PATH": str(npm.node_modules()), "BULLMQ_PACKAGE": PACKAGES[major]}


def jobs(count: int, name: str = "job", *, data: Any = None, opts: Any = None) -> list[Any]:
    """So many equal jobs, for `addBulk`."""
    return [{"name": name, "data": data or {}, "opts": opts or {}} for _ in range(count)]
