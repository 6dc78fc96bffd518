"""One BullMQ process that stays: producer, worker and operator of queues, a step at a time.

with Hand(redis.url) as hand:
    hand.do("orders/v1", "add", "job", {"token": "a"})
    hand.do("orders/v1", "process", 1)
    assert hand.done == ["a"]
"""

from __future__ import annotations

import json
import select
import subprocess
import time
from typing import Any

from devcluster.bullmq import Major, command, environment
from devcluster.errors import DevclusterError

ANSWER_SECONDS = 60.0


class HandError(DevclusterError):
    """BullMQ refused the step, or the process is gone."""


class Hand:
    """A process of programs/hand.js, of one BullMQ major. Its handles are opened once."""

    def __init__(self, url: str, *, major: Major = Major.V6, prefix: str = "bull") -> None:
        self.major = major
        self.done: list[str] = []
        """The `token` of every job that was worked on, told before BullMQ was."""
        self._process = subprocess.Popen(
            command("hand", major),
            env=environment(major) | {"REDIS_URL": url, "BULLMQ_PREFIX": prefix},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._unread = b""

    def do(self, queue: str, what: str, *args: Any, timeout: float = ANSWER_SECONDS) -> Any:
        """One step on a queue; see programs/hand.js. Raises HandError when BullMQ refuses it."""
        line = json.dumps({"queue": queue, "step": [what, *args]}) + "\n"
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode())
        except BrokenPipeError as gone:
            raise HandError(f"{what}: the process is gone") from gone
        deadline = time.monotonic() + timeout
        while (answer := self._next(deadline)) is not None:
            if "error" in answer:
                raise HandError(f"{what}: {answer['error']}")
            if "result" in answer:
                return answer["result"]
        self._process.kill()  # an answer that comes later would be taken for another step's
        raise HandError(f"{what}: no answer within {timeout:g} s")

    def heard(self, seconds: float = 0.0) -> list[str]:
        """`done`, with what an attached worker has told by now, or tells within so long."""
        before, deadline = len(self.done), time.monotonic() + seconds
        while self._next(deadline) is not None:
            if len(self.done) > before:
                deadline = time.monotonic()
        return self.done

    def kill(self) -> list[str]:
        """SIGKILL; what it had told until then."""
        self._process.kill()
        self._process.wait()
        self.heard()
        self._close_pipes()
        return self.done

    def close(self) -> None:
        """Let it end. A second time does nothing."""
        if self._process.poll() is None and self._process.stdin is not None:
            self._process.stdin.close()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._close_pipes()

    def _close_pipes(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _next(self, deadline: float) -> dict[str, Any] | None:
        """The next line, kept if it tells of a job; None when none comes in time, or ever."""
        while b"\n" not in self._unread:
            if not self._read(deadline):
                return None
        line, _, self._unread = self._unread.partition(b"\n")
        told: dict[str, Any] = json.loads(line)
        if "done" in told:
            self.done.append(told["done"])
        return told

    def _read(self, deadline: float) -> bool:
        out = self._process.stdout
        assert out is not None
        patience = max(deadline - time.monotonic(), 0.0)
        if not select.select([out], [], [], patience)[0]:
            return False
        chunk = out.read(65536)
        self._unread += chunk or b""
        return bool(chunk)

    def __enter__(self) -> Hand:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
