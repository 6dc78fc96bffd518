"""A BullMQ process that stays, so that neither its start nor its connection is timed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from devcluster import bullmq, tools

HERE = Path(__file__).parent


class Peer:
    """peer.js of a Node BullMQ, or peer.py of the Python one."""

    def __init__(self, url: str, major: bullmq.Major = bullmq.Major.V6) -> None:
        python = [sys.executable, "-m", "benchmarks.obliterate.peer"]
        node = [str(tools.node()), str(HERE / "peer.js")]
        self._process = subprocess.Popen(
            python if major is bullmq.Major.PYTHON else node,
            env=bullmq.environment(major) | {"REDIS_URL": url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def open(self, queue: str) -> None:
        """Connect, so that nothing is left to do before the first add."""
        self.ask(do="open", queue=queue)

    def obliterate(self, queue: str) -> float:
        """Milliseconds; raises AssertionError when BullMQ refuses."""
        answer = self.ask(do="obliterate", queue=queue)
        assert answer["error"] is None, answer["error"]
        return float(answer["ms"])

    def send(self, **what: Any) -> None:
        """Ask, and leave the answer for `receive`."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """The next answer."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the BullMQ process is gone"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, **what: Any) -> dict[str, Any]:
        """Both."""
        self.send(**what)
        return self.receive()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait(timeout=10)
