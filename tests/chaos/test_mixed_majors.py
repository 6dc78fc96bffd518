"""A producer of one BullMQ major beside a worker of another: one promises, the other forgets."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from devcluster.bullmq import Major
from devcluster.hand import Hand
from tests.chaos.intruders import DEDUPLICATED
from tests.chaos.stage import BASE, NAME, Stage
from tests.chaos.wire import Command, Wire

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def old_worker(drained: Stage) -> Iterator[Hand]:
    """BullMQ v4, which knows no `keepLastIfActive`."""
    with Hand(drained.server.url, major=Major.V4) as hand:
        yield hand


async def test_an_add_that_is_no_job_yet_outlives_every_retirement(
    stage: Stage, wire: Wire, old_worker: Hand, ran: Callable[[int], None]
) -> None:
    """v6 keeps the last add of a busy deduplication id in `dn:`, and makes it a job when the busy
    one is finished. A v4 worker finishes it without a look: then an acknowledged add is in no
    count, whichever moment it comes at.
    """
    for number in itertools.count(1):
        stage.set()
        stage.add(**DEDUPLICATED)
        old_worker.do(NAME, "take")
        wire.reset()

        def promise_and_forget(at: int, _: Command | None = None, number: int = number) -> None:
            if at == number:
                stage.add(**DEDUPLICATED)
                old_worker.do(NAME, "finish")

        wire.before = promise_and_forget
        await stage.retire_anew()
        commands = len(wire.seen)
        wire.reset()
        if number > commands:
            promise_and_forget(number)
        again = await stage.retire_anew()
        assert again.stopped_by == "OrphanedJobs", f"before command {number}: {again}"
        assert stage.raw.exists(f"{BASE}dn:k"), "the add is gone"
        if number > commands:
            break
    ran(number)
