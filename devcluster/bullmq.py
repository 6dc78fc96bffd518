"""Real BullMQ from tests, of any major: operations on a queue.

bullmq.run(redis.url, "orders/v1", ["addBulk", [{"name": "job", "data": {}}]], ["getJobCounts"])
"""

from __future__ import annotations

import atexit
import contextlib
import enum
import json
import os
import select
import subprocess
import tempfile
import time
from typing import IO, Any

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
    """Do the steps, with handles of their own, and return a result for each; see programs/jobs.js.

    The process that does them is kept for the next call: to start one takes longer than most
    scripts. Raises ScriptError for the first step that BullMQ refuses, or that this major lacks;
    DevclusterError when there is no answer in time.
    """
    script = {"url": url, "queue": queue, "prefix": prefix, "steps": list(steps)}
    process = _idle[major].pop() if _idle[major] else _Jobs(major)
    try:
        answer = process.ask(script, timeout)
    except BaseException:
        process.end()
        raise
    _idle[major].append(process)
    if "error" in answer:
        raise ScriptError(answer["error"], list(steps[answer["step"]]), answer["results"])
    results: list[Any] = answer["results"]
    return results


class _Jobs:
    """A process of programs/jobs; it ends with us, whatever ends us: its stdin is our pipe."""

    def __init__(self, major: Major) -> None:
        self._major = major
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `end`)
        self._process = subprocess.Popen(
            command("jobs", major),
            env=environment(major),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
        )

    def ask(self, script: dict[str, Any], timeout: float) -> dict[str, Any]:
        """Its answer to one script. Raises DevclusterError with what it wrote to stderr."""
        unsent = memoryview(json.dumps(script).encode() + b"\n")
        with contextlib.suppress(BrokenPipeError):  # told by the answer that does not come
            while unsent:
                unsent = unsent[self._pipe("stdin").write(unsent) :]
        line, deadline = b"", time.monotonic() + timeout
        while not line.endswith(b"\n"):
            left = max(deadline - time.monotonic(), 0)
            if not select.select([self._pipe("stdout")], [], [], left)[0]:
                raise DevclusterError(f"jobs of {self._major}: no answer in {timeout:g} s")
            chunk = self._pipe("stdout").read(1 << 16)
            if not chunk:
                raise DevclusterError(f"jobs of {self._major} ended: {self._said()}")
            line += chunk
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._pipe("stdin"), self._pipe("stdout"), self._errors):
            pipe.close()

    def _pipe(self, name: str) -> IO[bytes]:
        pipe: IO[bytes] = getattr(self._process, name)
        return pipe

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()[-2000:]


_idle: dict[Major, list[_Jobs]] = {major: [] for major in Major}


@atexit.register
def _end_idle() -> None:
    for processes in _idle.values():
        while processes:
            processes.pop().end()


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
