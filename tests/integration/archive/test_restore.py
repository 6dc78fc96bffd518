"""An archive is put back whole or not at all, and nothing that is there is changed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest

from bullmq_operator.__main__ import main
from bullmq_operator.archive.errors import ArchiveError, ArchiveReason
from bullmq_operator.archive.restoring import CollisionError
from bullmq_operator.domain.archive import ArchiveOutcome
from bullmq_operator.queues.keys import FIXED
from devcluster import bullmq
from devcluster.bullmq import Major
from devcluster.network import free_port
from devcluster.waiting import wait_until
from tests.integration.archive.support import Shelf, path_of

pytestmark = pytest.mark.redis


async def test_a_second_restore_finds_all_jobs_there(shelf: Shelf) -> None:
    shelf.shop.finish(3, failed=2)
    shelf.run(["addBulk", bullmq.jobs(4)])
    outcome = await shelf.archive()
    shelf.forget()
    await shelf.restore(outcome)
    before = shelf.shop.snapshot()
    again = await shelf.restore(outcome)
    assert (again.written.total(), again.there) == (0, 9)
    assert shelf.shop.snapshot() == before


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGKILL, -signal.SIGKILL, id="killed"),
        pytest.param(signal.SIGINT, 1, id="interrupted"),
    ],
)
async def test_stopped_on_the_way_a_repetition_completes_it(
    shelf: Shelf, number: signal.Signals, code: int
) -> None:
    shelf.run(["addBulk", bullmq.jobs(10_000)])
    before = shelf.raw.lrange(f"{shelf.base}wait", 0, -1)
    outcome = await shelf.archive()
    shelf.forget()
    assert await asyncio.to_thread(begin_and_stop, shelf, outcome, number) == code
    some = shelf.raw.llen(f"{shelf.base}wait")
    await shelf.restore(outcome)
    assert isinstance(some, int)
    assert 0 < some < 10_000
    assert shelf.raw.lrange(f"{shelf.base}wait", 0, -1) == before
    assert len(shelf.shop.keys() - {f"{shelf.base}{name}" for name in FIXED}) == 10_000


async def test_a_job_that_has_run_since_is_not_run_again(shelf: Shelf) -> None:
    shelf.run(["addBulk", bullmq.jobs(3)])
    outcome = await shelf.archive()
    shelf.run(["process", 3])
    restored = await shelf.restore(outcome)
    assert (restored.there, restored.written.total()) == (3, 0)
    assert shelf.run(["process", 1]) == [[]]


async def test_new_jobs_get_new_ids(shelf: Shelf) -> None:
    """A plain add takes its id by INCR and does not look: it would be merged into an old job."""
    shelf.run(["addBulk", bullmq.jobs(3)])
    outcome = await shelf.archive()
    shelf.forget()
    await shelf.restore(outcome)
    assert shelf.run(["add", "new", {}, {}])[0]["id"] == "4"


async def test_a_counter_that_is_ahead_stays(shelf: Shelf) -> None:
    shelf.run(["addBulk", bullmq.jobs(3)])
    outcome = await shelf.archive()
    shelf.run(["addBulk", bullmq.jobs(3)])
    await shelf.restore(outcome)
    assert shelf.raw.get(f"{shelf.base}id") == "6"


@pytest.mark.parametrize("major", [Major.V5, Major.V6], indirect=True, ids=str)
async def test_settings_come_back_and_those_set_since_stay(shelf: Shelf) -> None:
    shelf.run(["add", "x", {}, {}], ["setGlobalConcurrency", 1])
    outcome = await shelf.archive()
    shelf.forget()
    await shelf.restore(outcome)
    assert shelf.run(["getGlobalConcurrency"]) == [1]
    shelf.run(["setGlobalConcurrency", 5])
    await shelf.restore(outcome)
    assert shelf.run(["getGlobalConcurrency"]) == [5]


async def test_a_waiting_worker_is_woken(shelf: Shelf) -> None:
    shelf.run(["add", "x", {}, {}], ["add", "y", {}, {"delay": 3_600_000}])
    outcome = await shelf.archive()
    shelf.forget()
    await shelf.restore(outcome)
    assert shelf.raw.zrange(f"{shelf.base}marker", 0, -1) == ["0", "1"]


async def test_it_moves_the_stamp_so_that_a_retirement_stops(shelf: Shelf) -> None:
    shelf.shop.finish(1)
    outcome = await shelf.archive()
    shelf.raw.delete(f"{shelf.base}1", f"{shelf.base}completed")
    before = (await shelf.inventory()).stamp
    await shelf.restore(outcome)
    assert (await shelf.inventory()).stamp != before


# --- other jobs under the same ids


async def collide(shelf: Shelf) -> ArchiveOutcome:
    """Job 1 of the archive, and another job 1 in the queue, which began anew."""
    shelf.run(["add", "old", {"old": True}, {}], ["add", "old", {}, {"jobId": "custom"}])
    outcome = await shelf.archive()
    shelf.forget()
    shelf.run(["add", "new", {"new": True}, {}])
    return outcome


async def test_a_taken_id_refuses_all_and_changes_nothing(shelf: Shelf) -> None:
    outcome = await collide(shelf)
    before = shelf.shop.snapshot()
    with pytest.raises(CollisionError) as error:
        await shelf.restore(outcome)
    assert (error.value.count, error.value.ids) == (1, ["1"])
    assert shelf.shop.snapshot() == before


async def test_a_taken_id_is_left_out_when_asked(shelf: Shelf) -> None:
    outcome = await collide(shelf)
    restored = await shelf.restore(outcome, skip_taken=True)
    assert (restored.skipped, restored.written.total()) == (1, 1)
    assert shelf.run(["process", 9]) == [["custom", "1"]]
    assert shelf.raw.hget(f"{shelf.base}1", "name") == "new"


async def test_with_a_prefix_nothing_collides(shelf: Shelf) -> None:
    outcome = await collide(shelf)
    await shelf.restore(outcome, id_prefix="back-")
    assert shelf.run(["process", 9]) == [["back-1", "back-custom", "1"]]


async def test_a_dry_run_writes_nothing(shelf: Shelf) -> None:
    shelf.run(["addBulk", bullmq.jobs(3)])
    outcome = await shelf.archive()
    shelf.forget()
    restored = await shelf.restore(outcome, dry_run=True)
    assert (restored.written.total(), shelf.shop.keys()) == (3, set())


async def test_a_scheduler_that_is_there_is_left_as_it_is(shelf: Shelf) -> None:
    steps = {"every": 3_600_000}
    shelf.run(["upsertJobScheduler", "hourly", steps, {"name": "hourly"}])
    outcome = await shelf.archive()
    shelf.forget()
    shelf.run(["upsertJobScheduler", "hourly", {"every": 7_200_000}, {"name": "hourly"}])
    before = shelf.jobs_snapshot()
    with pytest.raises(CollisionError):
        await shelf.restore(outcome)
    await shelf.restore(outcome, skip_taken=True)
    assert shelf.jobs_snapshot() == before


async def test_a_scheduler_that_has_run_since_goes_on_alone(shelf: Shelf) -> None:
    """Its job of the archive would run beside its next one."""
    shelf.run(["upsertJobScheduler", "hourly", {"every": 3_600_000}, {"name": "hourly"}])
    outcome = await shelf.archive()
    shelf.forget()
    await shelf.restore(outcome)
    ((ran,),) = shelf.run(["process", 1])
    shelf.run(["job", ran, "remove"])
    before = shelf.jobs_snapshot()
    restored = await shelf.restore(outcome)
    assert (restored.there, restored.skipped, restored.written.total()) == (2, 0, 0)
    assert shelf.jobs_snapshot() == before


# --- into another queue


@pytest.mark.parametrize("id_prefix", ["", "back-"])
async def test_a_family_in_another_queue_finds_each_other(shelf: Shelf, id_prefix: str) -> None:
    child = {"name": "child", "queueName": shelf.name, "data": {}}
    flow = {"name": "parent", "queueName": shelf.name, "data": {}, "children": [child]}
    shelf.run(["addFlow", flow])
    outcome = await shelf.archive()
    shelf.forget()
    other = shelf.queue("orders/again")
    restored = await other.restore(outcome, id_prefix=id_prefix)
    assert restored.links == 0
    child_id, parent_id = (other.run(["process", 1])[0][0] for _ in range(2))
    assert child_id.startswith(id_prefix)
    results = other.raw.hgetall(f"{other.base}{parent_id}:processed")
    assert results == {f"{other.base}{child_id}": '"done"'}
    assert shelf.shop.keys() == set()


async def test_a_parent_elsewhere_that_knows_the_old_name_is_reported(shelf: Shelf) -> None:
    child = {"name": "child", "queueName": shelf.name, "data": {}}
    flow = {"name": "parent", "queueName": "billing", "data": {}, "children": [child]}
    shelf.run(["addFlow", flow])
    outcome = await shelf.archive()
    assert (await shelf.queue("orders/again").restore(outcome)).links == 1


# --- archives that are none


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "ends before its last line", id="empty"),
        pytest.param(b"no gzip", "is no gzip file", id="another file"),
    ],
)
async def test_what_is_no_archive_is_refused(shelf: Shelf, content: bytes, says: str) -> None:
    shelf.shop.finish(1)
    outcome = await shelf.archive()
    shelf.forget()
    path_of(outcome).write_bytes(content)
    await refused(shelf, outcome, says)


async def test_half_an_archive_restores_nothing(shelf: Shelf) -> None:
    shelf.run(["addBulk", bullmq.jobs(2000)])
    outcome = await shelf.archive()
    shelf.forget()
    whole = path_of(outcome).read_bytes()
    path_of(outcome).write_bytes(whole[: len(whole) * 2 // 3])
    await refused(shelf, outcome, "ends before its last line")


async def refused(shelf: Shelf, outcome: ArchiveOutcome, says: str) -> None:
    with pytest.raises(ArchiveError, match=says) as error:
        await shelf.restore(outcome)
    assert error.value.reason is ArchiveReason.NOT_WHOLE
    assert shelf.shop.keys() == set()


# --- the command


def command(*arguments: str) -> Sequence[str]:
    return [sys.executable, "-m", "bullmq_operator", "restore", *arguments]


def begin_and_stop(shelf: Shelf, outcome: ArchiveOutcome, number: signal.Signals) -> int:
    arguments = (str(path_of(outcome)), "--redis", shelf.url, "--queue", shelf.name)
    with subprocess.Popen(command(*arguments)) as process:
        try:
            waiting = f"{shelf.base}wait"
            wait_until(lambda: shelf.raw.llen(waiting), "the first jobs", 60, interval=0.002)
            process.send_signal(number)
            return process.wait(60)
        finally:
            process.kill()


def restore_by_command(
    *arguments: str, redis_url: str | None = None
) -> subprocess.CompletedProcess[str]:
    variables = {"BULLMQ_OPERATOR_REDIS_URL": redis_url} if redis_url else {}
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, env=os.environ | variables, check=False
    )


async def test_the_command_restores_and_says_what(shelf: Shelf) -> None:
    shelf.shop.finish(2, failed=1)
    outcome = await shelf.archive()
    shelf.forget()
    arguments = (str(path_of(outcome)), "--queue", "orders/v1")
    done = await asyncio.to_thread(restore_by_command, *arguments, redis_url=shelf.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        'restored 3 of queue "orders/v1" into "orders/v1": 2 completed, 1 failed\n'
    )


async def test_a_path_may_go_up(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.shop.finish(1)
    path = path_of(await shelf.archive())
    (path.parent / "below").mkdir()
    monkeypatch.chdir(path.parent / "below")
    arguments = ["restore", f"../{path.name}", "--redis", shelf.url, "--queue", "again"]
    assert await asyncio.to_thread(main, arguments) == 0
    assert shelf.queue("again").run(["getCompletedCount"]) == [1]


async def test_the_command_tells_collisions_and_the_ways_out(shelf: Shelf) -> None:
    outcome = await collide(shelf)
    arguments = (str(path_of(outcome)), "--redis", shelf.url, "--queue", "orders/v1")
    done = await asyncio.to_thread(restore_by_command, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert "1 ids of the archive are other jobs'" in done.stderr
    assert "--id-prefix" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(("x.jsonl.gz", "--queue", "a:b"), "--queue must be", id="colon in the queue"),
        pytest.param(("s3://bucket", "--queue", "a"), "FILE: names no file", id="bucket alone"),
        pytest.param(("ftp://host/x", "--queue", "a"), "FILE: must be s3://", id="other scheme"),
        pytest.param(
            ("x", "--queue", "a", "--id-prefix", "7"), "--id-prefix must", id="number as prefix"
        ),
    ],
)
def test_a_wrong_argument_is_told_with_exit_code_2(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["restore", *arguments, "--redis", "redis://127.0.0.1:1"])
    assert (code, says in capsys.readouterr().err) == (2, True)


def test_without_a_redis_it_says_how_to_name_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("BULLMQ_OPERATOR_REDIS_URL", raising=False)
    assert main(["restore", "x", "--queue", "a"]) == 2
    assert "--redis or BULLMQ_OPERATOR_REDIS_URL" in capsys.readouterr().err


def test_a_redis_that_is_away_is_told_without_its_password(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"redis://:hidden@127.0.0.1:{free_port()}/0"
    assert main(["restore", str(shelf.folder / "x"), "--queue", "a", "--redis", url]) == 1
    said = capsys.readouterr()
    assert "can't be reached" in said.err
    assert "hidden" not in said.out + said.err
