"""A promise for every major needs every major: what they wrote comes back as it was."""

from __future__ import annotations

import pytest

from bullmq_operator.domain.archive import ArchivedJobs
from devcluster.bullmq import Major
from tests.integration.archive.support import Shelf, lines_of

pytestmark = pytest.mark.redis
every_major = pytest.mark.parametrize("major", list(Major), indirect=True, ids=str)

HOUR = 3_600_000
UNICODE = {"to": "Zürich 日本 😀", "control": "\u0000\u2028\u007f", "quote": '"\\'}


def fill(shelf: Shelf) -> None:
    """Jobs of every state that a drained, a held or a discarded queue may have."""
    shelf.run(
        ["add", "done", UNICODE, {}],
        ["add", "large", {"text": "ж" * 500_000}, {}],
        ["process", 2],
        ["add", "broken", {"n": 1.5, "tiny": 1e-7, "big": 12345678901234567890}, {}],
        ["process", 1, {"fail": True}],
        ["add", "later", {}, {"delay": HOUR}],
        ["add", "much later", {}, {"delay": 2 * HOUR}],
        ["add", "urgent", {}, {"priority": 1}],
        ["add", "less urgent", {}, {"priority": 7}],
        ["add", "first", {}, {"jobId": "custom"}],
        ["add", "second", {}, {}],
        ["add", "third", {}, {}],
        ["job", "1", "log", "a line"] if shelf.major is not Major.PYTHON else ["getJobCounts"],
    )


@every_major
async def test_every_job_comes_back_to_the_byte(shelf: Shelf) -> None:
    fill(shelf)
    before, counts = shelf.jobs_snapshot(), shelf.run(["getJobCounts"])
    outcome = await shelf.archive()
    shelf.forget()
    restored = await shelf.restore(outcome)
    assert restored.written.total() == outcome.jobs == 10
    assert shelf.jobs_snapshot() == before
    assert shelf.run(["getJobCounts"]) == counts


@every_major
async def test_restored_jobs_run_in_their_order(shelf: Shelf) -> None:
    fill(shelf)
    outcome = await shelf.archive()
    expected = shelf.run(["process", 10])
    shelf.forget()
    await shelf.restore(outcome)
    assert shelf.run(["process", 10]) == expected


@every_major
async def test_a_delayed_job_is_still_due_when_it_was(shelf: Shelf) -> None:
    shelf.run(["add", "soon", {}, {"delay": HOUR, "jobId": "soon"}])
    score = shelf.raw.zscore(f"{shelf.base}delayed", "soon")
    outcome = await shelf.archive()
    shelf.forget()
    await shelf.restore(outcome)
    assert shelf.raw.zscore(f"{shelf.base}delayed", "soon") == score
    shelf.run(["job", "soon", "promote"])
    assert shelf.run(["process", 1]) == [["soon"]]


@every_major
async def test_a_paused_queue_comes_back_paused_and_resumes_whole(shelf: Shelf) -> None:
    shelf.run(["add", "one", {}, {}], ["add", "two", {}, {}], ["pause"])
    outcome = await shelf.archive()
    shelf.forget()
    await shelf.restore(outcome)
    assert shelf.run(["isPaused"], ["resume"], ["process", 2])[::2] == [True, ["1", "2"]]


@every_major
async def test_a_job_that_a_worker_had_waits_again_and_is_next(shelf: Shelf) -> None:
    shelf.run(["add", "taken", {}, {}], ["add", "next", {}, {}])
    shelf.run(["process", 1, {"leaveActive": True}])
    outcome = await shelf.archive(ArchivedJobs.UNFINISHED)
    shelf.forget()
    await shelf.restore(outcome)
    assert shelf.run(["process", 2]) == [["1", "2"]]


@every_major
async def test_a_parent_still_waits_for_its_children_and_gets_their_results(shelf: Shelf) -> None:
    children = [{"name": "child", "queueName": shelf.name, "data": {}} for _ in range(2)]
    flow = {"name": "parent", "queueName": shelf.name, "data": {}, "children": children}
    shelf.run(["addFlow", flow], ["process", 1])
    outcome = await shelf.archive()
    before = shelf.jobs_snapshot()
    shelf.forget()
    await shelf.restore(outcome)
    assert shelf.jobs_snapshot() == before
    shelf.run(["process", 1])
    assert shelf.raw.zcard(f"{shelf.base}waiting-children") == 0
    assert len(shelf.run(["process", 1])[0]) == 1


@pytest.mark.parametrize("major", [Major.V5, Major.V6, Major.PYTHON], indirect=True, ids=str)
async def test_a_scheduler_comes_back_with_its_next_job(shelf: Shelf) -> None:
    shelf.run(["upsertJobScheduler", "nightly", {"every": 24 * HOUR}, {"name": "nightly"}])
    before = shelf.jobs_snapshot()
    outcome = await shelf.archive()
    shelf.forget()
    await shelf.restore(outcome)
    assert shelf.jobs_snapshot() == before


@pytest.mark.parametrize("major", [Major.V4], indirect=True, ids=str)
async def test_a_repeatable_of_v4_comes_back_with_its_next_job(shelf: Shelf) -> None:
    shelf.run(["add", "nightly", {}, {"repeat": {"pattern": "0 3 * * *"}}])
    before = shelf.jobs_snapshot()
    outcome = await shelf.archive()
    shelf.forget()
    await shelf.restore(outcome)
    assert shelf.jobs_snapshot() == before


@pytest.mark.parametrize("major", [Major.V5, Major.V6], indirect=True, ids=str)
async def test_a_deduplication_id_keeps_its_owner(shelf: Shelf) -> None:
    options = {"deduplication": {"id": "k", "ttl": HOUR}, "jobId": "owner"}
    shelf.run(["add", "one", {}, options], ["process", 1])
    outcome = await shelf.archive()
    shelf.forget()
    await shelf.restore(outcome)
    assert shelf.raw.get(f"{shelf.base}de:k") == "owner"
    left = shelf.raw.pttl(f"{shelf.base}de:k")
    assert isinstance(left, int)
    assert 0 < left <= HOUR


async def test_an_acknowledged_job_in_no_index_is_archived_and_runs_at_last(shelf: Shelf) -> None:
    shelf.run(["add", "lost", {}, {}])
    shelf.raw.delete(f"{shelf.base}wait")
    outcome = await shelf.archive()
    assert outcome.states == (("orphaned", 1),)
    shelf.forget()
    await shelf.restore(outcome)
    assert shelf.run(["process", 1]) == [["1"]]


async def test_an_add_that_is_no_job_yet_is_archived(shelf: Shelf) -> None:
    options = {"deduplication": {"id": "k", "keepLastIfActive": True}}
    shelf.run(
        ["add", "one", {}, options],
        ["process", 1, {"leaveActive": True}],
        ["add", "kept", {}, options],
    )
    outcome = await shelf.archive()
    assert [line["id"] for line in lines_of(outcome) if line["kind"] == "pending"] == ["k"]
    shelf.forget()
    await shelf.restore(outcome)
    assert shelf.run(["process", 1], ["process", 1]) == [["1"], ["2"]]


async def test_what_is_no_utf8_and_no_json_comes_back_too(shelf: Shelf) -> None:
    shelf.run(["add", "one", {}, {"jobId": "one"}])
    data = b'{"a": 1.50, "a": "\xff\xfe"}'
    shelf.raw.hset(f"{shelf.base}one", "data", data)  # type: ignore[arg-type]
    before = shelf.jobs_snapshot()
    outcome = await shelf.archive()
    shelf.forget()
    await shelf.restore(outcome)
    assert shelf.jobs_snapshot() == before


async def test_logs_and_children_beyond_one_reading_come_back_whole(shelf: Shelf) -> None:
    shelf.run(["add", "one", {}, {"jobId": "one"}], ["process", 1])
    one = f"{shelf.base}one"
    shelf.raw.rpush(f"{one}:logs", *(f"line {number}" for number in range(2500)))
    shelf.raw.sadd(f"{one}:dependencies", *(f"bull:x:{number}" for number in range(2500)))
    shelf.raw.hset(f"{one}:processed", mapping={f"bull:y:{number}": "1" for number in range(2500)})
    shelf.raw.zadd(f"{one}:unsuccessful", {f"bull:z:{number}": number for number in range(2500)})
    before = shelf.jobs_snapshot()
    outcome = await shelf.archive()
    shelf.forget()
    await shelf.restore(outcome)
    assert shelf.jobs_snapshot() == before
