"""A real S3 over HTTP, for tests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.s3_server import BUCKET


@dataclass(frozen=True)
class S3:
    """Secrets as users would write them, by the name of the user; and the bucket."""

    secrets: dict[str, dict[str, str]]
    bucket: str = BUCKET

    @property
    def writer(self) -> dict[str, str]:
        """May do all."""
        return self.secrets["writer"]

    @property
    def stranger(self) -> dict[str, str]:
        """May do nothing."""
        return self.secrets["stranger"]


@contextmanager
def running_s3() -> Iterator[S3]:
    """One server; it ends with us, whatever ends us: its standard input is our pipe."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.support.s3_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield S3(json.loads(process.stdout.readline()))
    finally:
        process.stdin.close()
        process.wait(timeout=60)
        process.stdout.close()
