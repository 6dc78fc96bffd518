"""What somebody else may do between any two commands of a retirement, and whether it must stop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from devcluster.bullmq import Major
from devcluster.waiting import wait_until
from tests.chaos.stage import BASE, KNOWN_ID, NAME, OTHER, Stage
from tests.chaos.wire import Wire

LATE_JOB = frozenset({"LateJob"})
ACTIVITY = frozenset({"Activity"})
EITHER = LATE_JOB | ACTIVITY
"""By when it came: the job is seen before it was finished, or only that something happened."""
NOTHING: frozenset[str] = frozenset()
DAY_MS = 86_400_000
LATER = {"delay": 3_600_000}
DEDUPLICATED = {"deduplication": {"id": "k", "keepLastIfActive": True}}


@dataclass(frozen=True)
class Intruder:
    """One act of somebody else."""

    name: str
    act: Callable[[Stage, Wire], object]
    """Returns False where it found nothing to act on."""
    stops: frozenset[str] = NOTHING
    """What the guard says of it in every later call; nothing: it must not stop the retirement."""
    before: Callable[[Stage], object] | None = None
    """What it needs to find, done before the retirement begins."""
    leaves_unfinished: bool = False
    """Whether what was done before keeps the queue from being empty."""


def flow(stage: Stage, parent: str, *children: str) -> dict[str, Any]:
    """A parent with a child in each of these queues."""
    return stage.job(parent, children=[stage.job(child) for child in children])


def add_known(stage: Stage, _: Wire) -> None:
    """Ignored by BullMQ, by design, as long as the finished job is there."""
    token = stage.token()
    stage.do("add", "job", {"token": token}, {"jobId": KNOWN_ID})
    if token not in stage.raw.hget(f"{BASE}{KNOWN_ID}", "data"):
        stage.owed.discard(token)


def keep_last(stage: Stage, _: Wire) -> None:
    """While the job of a deduplication id is active, the last add of that id waits in `dn:`, and
    becomes a job when the active one is finished."""
    stage.add(**DEDUPLICATED)
    stage.do("take")
    last = stage.token()
    stage.do("add", "job", {"token": last}, DEDUPLICATED)
    if not stage.raw.exists(f"{BASE}dn:k"):
        stage.owed.discard(last)  # a major that knows no `keepLastIfActive` ignores the second


def retry_failed(stage: Stage, _: Wire) -> bool:
    """Of failed jobs, all that are left."""
    failed = stage.raw.zrange(f"{BASE}failed", 0, -1)
    for job in failed:
        token = stage.do("getJob", job)["data"]["token"]
        stage.owed.add(token)
    stage.do("retryJobs", {"state": "failed"})
    return bool(failed)


def come_and_go(stage: Stage, wire: Wire, **opts: Any) -> None:
    """A job that is added, taken by a worker that attaches, and finished."""
    stage.add(**opts)
    attach_briefly(stage, wire)


def attach_briefly(stage: Stage, _: Wire) -> None:
    """A worker that finds nothing to do makes `stalled-check` anew, and some majors `meta`. It goes
    when it is idle: a v4 worker that is closed while it takes a job leaves it active."""
    busy = stage.raw.llen(f"{BASE}active")
    stage.do("attach", {})
    paused = stage.raw.hexists(f"{BASE}meta", "paused")
    full = busy and stage.hand.major is not Major.V4  # which knows no global concurrency
    if not (paused or full):
        wait_until(lambda: is_idle(stage, busy), "all waiting jobs finished", interval=0.002)
    stage.do("detach")


def is_idle(stage: Stage, busy: int) -> bool:
    """Whether no job waits (v4 has markers there), and none is active but what somebody keeps."""
    waiting = [job for job in stage.raw.lrange(f"{BASE}wait", 0, -1) if not job.startswith("0:")]
    return not waiting and stage.raw.llen(f"{BASE}active") <= busy


def second_operator(stage: Stage, _: Wire) -> None:
    """One that never had the lease, with a connection of its own."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(retire(stage))
        except BaseException as error:  # told below, in the test's own thread
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


async def retire(stage: Stage) -> None:
    """Straight to Redis."""
    await stage.retire_anew(stage.server.url)


def sent_twice(stage: Stage, wire: Wire) -> bool:
    """Our own last command reaches Redis once more, as after a retry of the client."""
    if wire.seen:
        stage.binary.execute_command(*wire.seen[-1].words)
    return bool(wire.seen)


def take_one(stage: Stage) -> None:
    """A worker is busy with a job."""
    stage.add()
    stage.do("take")


INTRUDERS = (
    Intruder("add", lambda s, _: s.add(), LATE_JOB),
    Intruder(
        "addBulk",
        lambda s, _: s.do("addBulk", [s.job(), s.job(opts=LATER), s.job()]),
        LATE_JOB,
    ),
    Intruder("add under the id of a finished job", add_known, EITHER),
    Intruder("add of a delayed job", lambda s, _: s.add(**LATER), LATE_JOB),
    Intruder("add of a prioritized job", lambda s, _: s.add(priority=3), LATE_JOB),
    Intruder(
        "flow with its child here",
        lambda s, _: s.do("addFlow", flow(s, OTHER, NAME)),
        LATE_JOB,
    ),
    Intruder(
        "flow with its parent here",
        lambda s, _: s.do("addFlow", flow(s, NAME, OTHER)),
        LATE_JOB,
    ),
    Intruder(
        "flow.addBulk of both",
        lambda s, _: s.do("addFlows", [flow(s, OTHER, NAME, OTHER), flow(s, NAME, NAME)]),
        LATE_JOB,
    ),
    Intruder("add with keepLastIfActive", keep_last, LATE_JOB | {"OrphanedJobs"}),
    Intruder("scheduler", lambda s, _: s.do("schedule", "daily", DAY_MS, {}), LATE_JOB),
    Intruder("retryJobs", retry_failed, LATE_JOB),
    Intruder(
        "promote",
        lambda s, _: s.do("promoteJobs"),
        LATE_JOB,
        before=lambda s: s.add(**LATER),
        leaves_unfinished=True,
    ),
    Intruder("worker attaches, finds nothing, goes", attach_briefly),
    Intruder("job comes, and a worker that attaches finishes it", come_and_go, ACTIVITY),
    Intruder(
        "job comes, is finished and removed",
        lambda s, w: come_and_go(s, w, removeOnComplete=True),
        ACTIVITY,
    ),
    Intruder(
        "worker finishes its job",
        lambda s, _: s.do("finish"),
        EITHER,
        before=take_one,
        leaves_unfinished=True,
    ),
    Intruder("pause", lambda s, _: s.do("pause"), ACTIVITY),
    Intruder("resume", lambda s, _: s.do("resume"), ACTIVITY, before=lambda s: s.do("pause")),
    Intruder("second operator", second_operator),
    Intruder("our last command again", sent_twice),
)
