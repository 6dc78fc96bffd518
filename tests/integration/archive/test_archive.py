"""What an archive is, and that only a whole one is taken for one."""

from __future__ import annotations

import asyncio
import gzip
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bullmq_operator.archive.destination import parse
from bullmq_operator.archive.errors import ArchiveError, ArchiveReason
from bullmq_operator.domain.archive import ArchivedJobs, ArchiveOutcome, JobState
from bullmq_operator.queues.archiving import PAGE, ActivityError, read_jobs
from devcluster import bullmq
from devcluster.waiting import wait_until
from tests.integration.archive.support import NOW, Shelf, lines_of, path_of

pytestmark = pytest.mark.redis


async def test_it_is_a_header_a_line_for_each_job_and_a_trailer(shelf: Shelf) -> None:
    shelf.run(["add", "send", {"to": "Zoë"}, {"attempts": 3}], ["job", "1", "log", "a line"])
    shelf.run(["process", 1, {"fail": True}], ["process", 1, {"fail": True}])
    shelf.run(["process", 1, {"fail": True}])
    outcome = await shelf.archive()
    header, job, trailer = lines_of(outcome)
    assert header["queue"] == {"prefix": "bull", "name": "orders/v1"}
    assert (header["version"], header["stamp"]) == ("shop/orders-v1", outcome.stamp)
    assert (header["format"], header["jobs"], header["jobsAdded"]) == (1, "All", 1)
    assert header["counts"]["failed"] == 1
    assert (job["id"], job["state"], job["logs"]) == ("1", "failed", ["a line"])
    assert job["job"]["data"] == {"to": "Zoë"}
    assert job["job"]["opts"]["attempts"] == job["job"]["atm"] == 3
    assert job["job"]["failedReason"] == "asked to fail"
    assert len(job["job"]["stacktrace"]) == 3
    assert (trailer["jobs"], trailer["lines"], trailer["states"]) == (1, 2, {"failed": 1})


async def test_it_says_how_many_jobs_it_holds_and_of_which_stamp(shelf: Shelf) -> None:
    shelf.shop.finish(3, failed=2)
    inventory = await shelf.inventory()
    outcome = await shelf.archive()
    assert outcome == ArchiveOutcome(
        url=f"file://{shelf.files()[0]}",
        stamp=inventory.stamp,
        jobs=5,
        states=(("completed", 3), ("failed", 2)),
    )
    assert path_of(outcome).name == f"{inventory.stamp}.all.jsonl.gz"


async def test_it_changes_nothing_in_redis(shelf: Shelf) -> None:
    shelf.shop.finish(3, failed=2)
    before = shelf.shop.snapshot()
    await shelf.archive()
    assert shelf.shop.snapshot() == before


@pytest.mark.parametrize(
    ("jobs", "names"),
    [
        pytest.param(ArchivedJobs.FAILED, {"failed"}, id="failed ones"),
        pytest.param(ArchivedJobs.UNFINISHED, {"wait", "delayed"}, id="unfinished ones"),
        pytest.param(ArchivedJobs.ALL, {"completed", "failed", "wait", "delayed"}, id="all"),
    ],
)
async def test_only_the_jobs_that_were_asked_for_are_written(
    shelf: Shelf, jobs: ArchivedJobs, names: set[str]
) -> None:
    shelf.shop.finish(2, failed=2)
    shelf.run(["add", "x", {}, {}], ["add", "x", {}, {"delay": 3_600_000}])
    outcome = await shelf.archive(jobs)
    assert {name for name, _ in outcome.states} == names
    assert {line["state"] for line in lines_of(outcome) if line["kind"] == "job"} == names


async def test_more_jobs_than_a_page_are_each_there_once(shelf: Shelf) -> None:
    count = 2 * PAGE + 17
    shelf.run(["addBulk", bullmq.jobs(count)])
    outcome = await shelf.archive()
    ids = [line["id"] for line in lines_of(outcome) if line["kind"] == "job"]
    assert sorted(ids, key=int) == [str(number + 1) for number in range(count)]


async def test_an_empty_queue_has_an_archive_too(shelf: Shelf) -> None:
    shelf.run(["add", "x", {}, {}], ["job", "1", "remove"])
    assert (await shelf.archive()).jobs == 0


async def test_a_page_of_heavy_jobs_is_a_short_one(shelf: Shelf) -> None:
    """It ends by the time it takes, which TIME does not tell within a script: others wait."""
    shelf.run(["addBulk", bullmq.jobs(PAGE)])
    pipe = shelf.raw.pipeline(transaction=False)
    for number in range(PAGE):
        pipe.rpush(f"{shelf.base}{number + 1}:logs", *(["x"] * 900))
    pipe.execute()
    stamp = (await shelf.inventory()).stamp
    pages = [
        len(page) async for page in read_jobs(shelf.connection, shelf.base, JobState.WAITING, stamp)
    ]
    assert sum(pages) == PAGE
    assert max(pages) <= PAGE // 4


# --- bound to the stamp


async def test_a_repetition_takes_the_file_that_is_there(shelf: Shelf) -> None:
    shelf.shop.finish(3)
    first = await shelf.archive()
    before = path_of(first).stat()
    assert await shelf.archive() == replace(first, reused=True)
    after = path_of(first).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


async def test_activity_needs_another_archive_and_keeps_the_first(shelf: Shelf) -> None:
    shelf.shop.finish(1)
    first = await shelf.archive()
    shelf.shop.finish(1)
    second = await shelf.archive()
    assert (first.jobs, second.jobs) == (1, 2)
    assert shelf.files() == sorted([path_of(first), path_of(second)])


async def test_activity_since_the_proof_stops_it_before_anything_is_written(shelf: Shelf) -> None:
    shelf.shop.finish(1)
    inventory = await shelf.inventory()
    shelf.shop.add("late")
    outcome = await shelf.archive(inventory=inventory)
    assert (outcome.stopped_by, outcome.url, shelf.files()) == ("Activity", "", [])


async def test_jobs_that_vanished_without_a_trace_leave_the_first_archive_alone(
    shelf: Shelf,
) -> None:
    """BullMQ's drain deletes waiting jobs and tells the stream nothing."""
    shelf.run(["addBulk", bullmq.jobs(3)])
    first = await shelf.archive()
    shelf.run(["drain"])
    second = await shelf.archive()
    assert (first.jobs, second.jobs, second.stamp) == (3, 0, first.stamp)
    assert path_of(second).name == f"{first.stamp}.all.2.jsonl.gz"
    assert len(lines_of(first)) == 5


async def test_a_job_that_is_added_during_the_walk_ends_it(shelf: Shelf) -> None:
    shelf.run(["addBulk", bullmq.jobs(3 * PAGE)])
    inventory = await shelf.inventory()
    walk = read_jobs(shelf.connection, shelf.base, JobState.WAITING, inventory.stamp)
    await anext(walk)
    shelf.shop.add("late")
    with pytest.raises(ActivityError):
        await anext(walk)


async def test_a_job_that_changes_its_place_during_the_walk_ends_it(shelf: Shelf) -> None:
    """changePriority tells the stream nothing, and what is moved to the front would be missed."""
    shelf.run(["addBulk", bullmq.jobs(3 * PAGE, opts={"priority": 5})])
    inventory = await shelf.inventory()
    walk = read_jobs(shelf.connection, shelf.base, JobState.PRIORITIZED, inventory.stamp)
    await anext(walk)
    shelf.run(["job", str(3 * PAGE), "changePriority", {"priority": 1}])
    with pytest.raises(ActivityError):
        await anext(walk)


# --- only whole ones


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: content[: len(content) // 2], id="half of it"),
        pytest.param(lambda content: content[:-1], id="all but its last byte"),
        pytest.param(lambda _: b"", id="nothing of it"),
        pytest.param(
            lambda content: gzip.compress(b"\n".join(gzip.decompress(content).split(b"\n")[:-2])),
            id="without its last line",
        ),
        pytest.param(
            lambda content: gzip.compress(gzip.decompress(content).replace(b"job", b"jab", 1)),
            id="with another letter",
        ),
    ],
)
async def test_a_file_that_is_not_whole_is_written_again(shelf: Shelf, damage: object) -> None:
    shelf.shop.finish(3)
    outcome = await shelf.archive()
    whole = path_of(outcome).read_bytes()
    path_of(outcome).write_bytes(damage(whole))  # type: ignore[operator]
    assert await shelf.archive() == outcome
    assert path_of(outcome).read_bytes() == whole


async def test_killed_while_it_writes_it_is_whole_the_next_time(shelf: Shelf) -> None:
    shelf.run(["addBulk", bullmq.jobs(8_000)])
    await asyncio.to_thread(begin_and_kill, shelf)
    assert [path for path in shelf.files() if path.suffix == ".gz"] == []
    outcome = await shelf.archive()
    assert (outcome.jobs, outcome.reused) == (8_000, False)


async def test_what_a_crash_left_is_removed_once_nobody_writes_it(shelf: Shelf) -> None:
    shelf.shop.finish(1)
    folder = path_of(await shelf.archive()).parent
    abandoned, growing = folder / "a.partial", folder / "b.partial"
    for path, age in ((abandoned, 3601), (growing, 3599)):
        path.touch()
        os.utime(path, (NOW.timestamp() - age, NOW.timestamp() - age))
    shelf.shop.finish(1)
    await shelf.archive()
    assert partial_files(shelf) == [growing]


def begin_and_kill(shelf: Shelf) -> None:
    command = [sys.executable, "-m", "tests.integration.archive.program"]
    with subprocess.Popen([*command, shelf.url, str(shelf.folder)]) as process:
        try:
            wait_until(lambda: partial_files(shelf), "an unfinished file", 60, interval=0.01)
        finally:
            process.kill()


def partial_files(shelf: Shelf) -> list[Path]:
    return [path for path in shelf.files() if path.suffix == ".partial"]


# --- what people can do wrong


async def test_a_folder_that_does_not_exist_is_named_with_its_field(shelf: Shelf) -> None:
    shelf.shop.finish(1)
    missing = parse(f"file://{shelf.folder}/missing")
    with pytest.raises(ArchiveError) as error:
        await shelf.archive(destination=missing)
    assert error.value.reason is ArchiveReason.MISSING
    assert error.value.message == (
        f"spec.retire.archive.url: folder {shelf.folder}/missing does not exist; create it."
    )


async def test_an_error_on_the_way_leaves_nothing_behind(shelf: Shelf) -> None:
    """Here a key of a kind that BullMQ never writes."""
    shelf.shop.finish(1)
    inventory = await shelf.inventory()
    shelf.raw.set(f"{shelf.base}repeat", "no sorted set")
    with pytest.raises(Exception, match="type that BullMQ does not write"):
        await shelf.archive(inventory=inventory)
    assert shelf.files() == []
