"""Real BullMQ from tests, of any major: operations on a queue.

bullmq.run(redis.url, "orders/v1", ["addBulk", [{"name": "job", "data": {}}]], ["getJobCounts"])
"""

from __future__ import annotations

import enum
import json
import os
import subprocess
from typing import Any

from devcluster import npm, tools
from devcluster.errors import DevclusterError
from devcluster.paths import HERE, PROJECT_ROOT


class Major(enum.StrEnum):
    """A BullMQ that can be run; also the tag of its images (`devcluster/bullmq-worker:v5`)."""

    V4 = "v4"
    V5 = "v5"
    V6 = "v6"
    PYTHON = "python"


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
    major: Major = Major.V6,
    timeout: float = 60.0,
) -> list[Any]:
    """Do the steps in one process and return a result for each; see programs/jobs.js.

    Raises ScriptError for the first step that BullMQ refuses, or that this major lacks.
    """
    script = {"url": url, "queue": queue, "prefix": prefix, "steps": list(steps)}
    done = subprocess.run(
        command("jobs", major),
        input=json.dumps(script),
        env=environment(major),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode != 0 or not done.stdout:
        raise DevclusterError(f"jobs of {major}: exit {done.returncode}: {done.stderr.strip()}")
    answer: dict[str, Any] = json.loads(done.stdout)
    if "error" in answer:
        raise ScriptError(answer["error"], list(steps[answer["step"]]), answer["results"])
    results: list[Any] = answer["results"]
    return results


def command(program: str, major: Major = Major.V6) -> list[str]:
    """How to start a program of `programs/` (jobs, worker, producer) outside of a Pod."""
    if major is Major.PYTHON:
        return [str(tools.python()), "-m", f"devcluster.programs.{program}"]
    return [str(tools.node()), str(HERE / "programs" / f"{program}.js")]


def environment(major: Major = Major.V6) -> dict[str, str]:
    """What such a process needs; a Pod gets the same from devcluster/images."""
    if major is Major.PYTHON:
        return os.environ | {"PYTHONPATH": str(PROJECT_ROOT)}
    return os.environ | {
        "NODE_PATH": str(npm.node_modules()),
        "BULLMQ_PACKAGE": f"bullmq{major[1:]}",
    }


def jobs(count: int, name: str = "job", *, data: Any = None, opts: Any = None) -> list[Any]:
    """So many equal jobs, for `addBulk`."""
    return [{"name": name, "data": data or {}, "opts": opts or {}} for _ in range(count)]
