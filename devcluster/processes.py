"""A client's hold on a supervisor: start, signal and end processes, and let go."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster import tools
from devcluster.errors import DevclusterError, StartError
from devcluster.paths import PROJECT_ROOT
from devcluster.supervisor import SOCKET

KEPT = "kept"
"""A file of this name marks a state folder that `keep` was asked for."""
LOG_TAIL_LINES = 12


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """`returncode` is None while the process runs, negative after a signal."""

    pid: int
    returncode: int | None


class Hold:
    """A connection to a supervisor: while one is open, its processes live."""

    def __init__(self, state: Path) -> None:
        """Connect to the supervisor of a state folder.

        Raises OSError when there is none any more.
        """
        self.state = state
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(str(state / SOCKET))
        except OSError:
            self._socket.close()
            raise
        self._answers = self._socket.makefile("rb")

    @classmethod
    def new(cls, state: Path, *, remove_state: bool) -> Hold:
        """Start a supervisor for this state folder, and hold it."""
        argv = [str(tools.python()), "-m", "devcluster.supervisor", str(state)]
        with (state / "supervisor.log").open("ab") as log:
            subprocess.run(
                [*argv, "--remove-state"] if remove_state else argv,
                check=True,
                env=project_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return cls(state)

    def spawn(
        self,
        name: str,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGKILL,
        grace: float = 5.0,
    ) -> int:
        """Start (or replace) the process of this name; its output goes to `log(name)`."""
        answer = self._ask(
            do="spawn",
            name=name,
            argv=list(argv),
            cwd=str(self.state),
            env=dict(project_environment() if environment is None else environment),
            log=str(self.log(name)),
            stop_signal=int(stop_signal),
            grace=grace,
        )
        return int(answer["pid"])

    def claim_network(self) -> int:
        """Take a loopback network for as long as the supervisor lives; its number."""
        return int(self._ask(do="claim-network")["network"])

    def log(self, name: str) -> Path:
        """The file with the output of a process."""
        return self.state / f"{name}.log"

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process."""
        self._ask(do="signal", name=name, signal=int(number))

    def end(self, name: str) -> None:
        """End a process its own way and wait until it is gone."""
        self._ask(do="end", name=name)

    def status(self) -> dict[str, ProcessStatus]:
        """All processes by name."""
        return {
            name: ProcessStatus(**fields)
            for name, fields in self._ask(do="status")["status"].items()
        }

    def check_running(self, name: str) -> None:
        """Raise StartError with the last log lines when the process has ended."""
        status = self.status().get(name)
        if status is None or status.returncode is not None:
            code = "was not started" if status is None else f"ended with exit {status.returncode}"
            raise StartError(f"{name} {code}; the end of {self.log(name)}:\n{self.log_tail(name)}")

    def log_tail(self, name: str) -> str:
        """The last lines of a process's output."""
        if not self.log(name).exists():
            return ""
        lines = self.log(name).read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])

    def keep(self) -> None:
        """Let the processes live on when nobody holds them (until `shutdown`)."""
        self._ask(do="keep")
        (self.state / KEPT).touch()

    def release(self) -> None:
        """Let go: the last hold that goes takes the processes with it."""
        with self._lock:
            self._answers.close()
            self._socket.close()

    def shutdown(self) -> None:
        """End all processes, whoever else holds them, and wait until they are gone."""
        with self._lock:
            try:
                self._socket.sendall(b'{"do": "stop"}\n')
                while self._answers.readline():  # until the supervisor is gone itself
                    pass
            except ConnectionError:
                pass
            self._answers.close()
            self._socket.close()

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _ask(self, **request: Any) -> dict[str, Any]:
        with self._lock:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            line = self._answers.readline()
        if not line:
            raise DevclusterError(f"the supervisor of {self.state} has ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise DevclusterError(f"{request['do']} {request.get('name', '')}: {answer['error']}")
        return answer


def project_environment() -> dict[str, str]:
    """Our environment, with the project importable."""
    path = os.pathsep.join(filter(None, [str(PROJECT_ROOT), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
