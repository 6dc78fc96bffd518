"""What can go wrong in the dev cluster; every message says what to do next."""

from __future__ import annotations


class DevclusterError(Exception):
    """Base of all errors that the dev cluster raises on purpose."""


class ToolMissingError(DevclusterError):
    """A program that comes with the development dependencies is not installed."""


class BuildError(DevclusterError):
    """A build (Go control plane, npm programs) failed; the message ends with its last lines."""


class StartError(DevclusterError):
    """A process ended, or was not ready in time; the message ends with its last log lines."""


class WaitTimeoutError(DevclusterError):
    """A condition did not come true before its deadline."""


class KubectlError(DevclusterError):
    """kubectl answered with an error; `stderr` holds its words."""

    def __init__(self, args: tuple[str, ...], returncode: int, stderr: str) -> None:
        super().__init__(f"kubectl {' '.join(args)}: exit {returncode}: {stderr.strip()}")
        self.returncode = returncode
        self.stderr = stderr
