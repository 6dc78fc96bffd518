"""Holds the processes of one cluster or server, and ends them all when nobody holds it any more.

Why a process of its own: nothing may be left behind however its user ends (exit, Ctrl-C, SIGKILL),
and several test workers may share one cluster, whichever of them started it or ends first.

- Every client is a connection to the Unix socket `<state>/supervisor.sock`. The kernel closes it
  when the client dies. When the last one closes, everything is stopped, unless a client said
  `keep`.
- It is a child subreaper: what its children orphan becomes its child, and is ended too.
- Its children get SIGKILL from the kernel when it dies itself (PR_SET_PDEATHSIG). Only
  grandchildren of a supervisor that was itself killed by SIGKILL can survive.

The protocol: one JSON object a line each way; see `Supervisor._do`.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster.errors import DevclusterError
from devcluster.network import claim_network

SOCKET = "supervisor.sock"
FIRST_CLIENT_SECONDS = 15.0
"""A supervisor that nobody connected to in this time was orphaned at birth: it ends."""

POLL_SECONDS = 0.02
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def die_with(parent: int) -> Callable[[], None]:
    """A `preexec_fn`: SIGKILL me when the thread that started me ends (so: start me from the
    main thread of a process that has only one).
    """

    def in_child() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(127)

    return in_child


@dataclass(slots=True)
class Child:
    """One supervised process and how it is ended."""

    process: subprocess.Popen[bytes]
    stop_signal: int
    grace: float

    def end(self) -> None:
        """Signal, wait for the grace period, SIGKILL the process group, reap."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(self.grace)
            except subprocess.TimeoutExpired:
                self.process.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Supervisor:
    """A single-threaded loop: PDEATHSIG is bound to the thread that forks."""

    def __init__(self, state: Path, remove_state: bool) -> None:
        self._state, self._remove_state = state, remove_state
        self._children: dict[str, Child] = {}
        self._clients: dict[socket.socket, bytes] = {}
        self._claims: list[socket.socket] = []
        self._keep = self._stopping = self._had_client = False
        self._started = time.monotonic()
        self._selector = selectors.DefaultSelector()
        self._server = socket.socket(socket.AF_UNIX)

    def listen(self) -> None:
        """Bind the socket; from here on clients can connect."""
        path = self._state / SOCKET
        path.unlink(missing_ok=True)
        self._server.bind(str(path))
        self._server.listen()
        self._selector.register(self._server, selectors.EVENT_READ)

    def run(self) -> None:
        """Serve until nobody holds us, then end everything."""
        while not self._is_over():
            for key, _ in self._selector.select(timeout=1.0):
                if key.fileobj is self._server:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._read(key.fileobj)
        self.end_all()

    def end_all(self) -> None:
        """Last started first; then whatever they orphaned; then the state folder."""
        (self._state / SOCKET).unlink(missing_ok=True)
        for child in reversed(self._children.values()):
            child.end()
        for pid in iter(_any_child, None):
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        if self._remove_state:
            shutil.rmtree(self._state, ignore_errors=True)

    def request_stop(self, *_: object) -> None:
        """SIGTERM and SIGINT: stop as if a client had asked."""
        self._stopping = True

    def _is_over(self) -> bool:
        if self._stopping:
            return True
        if self._had_client:
            return not self._clients and not self._keep
        return time.monotonic() - self._started > FIRST_CLIENT_SECONDS

    def _accept(self) -> None:
        client, _ = self._server.accept()
        self._had_client = True
        self._clients[client] = b""
        self._selector.register(client, selectors.EVENT_READ)

    def _read(self, client: socket.socket) -> None:
        try:
            data = client.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self._selector.unregister(client)
            del self._clients[client]
            client.close()
            return
        *lines, self._clients[client] = (self._clients[client] + data).split(b"\n")
        for line in lines:
            try:
                answer = self._do(json.loads(line))
            except (OSError, KeyError, subprocess.SubprocessError, DevclusterError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            with contextlib.suppress(ConnectionError):
                client.sendall(json.dumps(answer).encode() + b"\n")

    def _do(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "spawn":
                return {"pid": self._spawn(request)}
            case "signal":
                self._children[request["name"]].process.send_signal(request["signal"])
            case "end":
                self._children.pop(request["name"]).end()
            case "status":
                return {"status": {name: self._status(c) for name, c in self._children.items()}}
            case "claim-network":
                number, claim = claim_network()
                self._claims.append(claim)
                return {"network": number}
            case "keep":
                self._keep = True
            case "stop":
                self._stopping = True
            case unknown:
                return {"error": f"unknown request {unknown!r}"}
        return {}

    def _spawn(self, request: dict[str, Any]) -> int:
        if old := self._children.pop(request["name"], None):
            old.end()
        with Path(request["log"]).open("ab") as log:
            process = subprocess.Popen(
                request["argv"],
                cwd=request["cwd"],
                env=request["env"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with(os.getpid()),  # noqa: PLW1509  # this process has one thread
            )
        self._children[request["name"]] = Child(process, request["stop_signal"], request["grace"])
        return process.pid

    @staticmethod
    def _status(child: Child) -> dict[str, int | None]:
        return {"pid": child.process.pid, "returncode": child.process.poll()}


def _any_child() -> int | None:
    """A child of ours: after the known ones are gone, an orphan that came to us."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = stat.read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid():
                return int(stat.parent.name)
    return None


def main(state: Path, remove_state: bool) -> None:
    """Detach from the terminal, then serve. The caller's process returns once we listen."""
    supervisor = Supervisor(state, remove_state)
    supervisor.listen()
    if os.fork():
        os._exit(0)
    os.setsid()
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, supervisor.request_stop)
    signal.signal(signal.SIGINT, supervisor.request_stop)
    supervisor.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), remove_state="--remove-state" in sys.argv[2:])
