"""The programs speak one language, whatever BullMQ they run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from devcluster import bullmq
from devcluster.bullmq import Major
from devcluster.errors import DevclusterError
from devcluster.redis_server import RedisServer
from devcluster.waiting import wait_until

pytestmark = [pytest.mark.redis, pytest.mark.parametrize("major", Major)]

QUEUE = "orders/v1"
UNTIL_STOPPED = "0"


@contextmanager
def program(name: str, major: Major, url: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    settings = bullmq.environment(major) | {"REDIS_URL": url, "BULLMQ_QUEUE_NAME": QUEUE} | env
    command = bullmq.command(name, major)
    with subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line_with(process: subprocess.Popen[str], text: str) -> dict[str, Any]:
    """The next line that holds this text."""
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(next(line for line in process.stdout if text in line))
    return found


def test_a_script_adds_processes_fails_abandons_and_looks(redis_url: str, major: Major) -> None:
    results = bullmq.run(
        redis_url,
        QUEUE,
        ["add", "x", {"n": 1}, {"jobId": "mine"}],
        ["addBulk", bullmq.jobs(3)],
        ["process", 1],
        ["process", 1, {"fail": True}],
        ["process", 1, {"leaveActive": True}],
        ["process", 9],
        ["job", "mine", "getState"],
        ["job", "nobody", "getState"],
        ["getJobCounts"],
        major=major,
    )
    assert (results[0]["id"], results[0]["data"]) == ("mine", {"n": 1})
    assert [job["id"] for job in results[1]] == ["2", "3", "4"]
    assert results[2:8] == [["mine"], ["2"], ["3"], ["4"], "completed", None]
    expected = {"active": 1, "completed": 2, "failed": 1, "waiting": 0, "delayed": 0}
    assert expected.items() <= results[8].items()


def test_a_refused_step_is_told_with_the_results_before_it(redis_url: str, major: Major) -> None:
    with pytest.raises(bullmq.ScriptError, match=r"fly: .*no method fly") as caught:
        bullmq.run(redis_url, QUEUE, ["getActive"], ["fly"], ["getActive"], major=major)
    assert caught.value.results == [[]]


def test_a_script_that_gets_no_answer_is_told_and_the_next_one_is_not_disturbed(
    redis_server: RedisServer, major: Major
) -> None:
    redis_server.pause()
    with pytest.raises(DevclusterError, match="no answer in 1 s"):
        bullmq.run(redis_server.url, QUEUE, ["add", "x", {}], major=major, timeout=1)
    redis_server.resume()
    [added] = bullmq.run(redis_server.url, "orders/v2", ["add", "x", {}], major=major)
    assert added["id"] == "1"


def test_a_script_leaves_no_connection_behind(redis_server: RedisServer, major: Major) -> None:
    steps = (["add", "x", {}], ["process", 2])
    bullmq.run(redis_server.url, QUEUE, *steps, major=major)
    with redis_server.client() as client:
        wait_until(lambda: len(client.client_list()) == 1, "no connection but our own")


def test_a_flow_is_added_with_its_children(redis_url: str, major: Major) -> None:
    child = {"name": "c", "queueName": QUEUE, "data": {}}
    parent = {"name": "p", "queueName": QUEUE, "data": {}, "opts": {"jobId": "parent"}}
    [flow] = bullmq.run(redis_url, QUEUE, ["addFlow", {**parent, "children": [child]}], major=major)
    assert (flow["job"]["id"], flow["children"][0]["job"]["name"]) == ("parent", "c")


def test_what_a_producer_adds_a_worker_does_and_the_ledger_has_both(
    redis_server: RedisServer, major: Major
) -> None:
    url = redis_server.url
    data = json.dumps([{"count": 2}, {"name": "flaky", "data": {"fail": 1}}])
    with program("producer", major, url, PLAN=data, LEDGER="t") as producer:
        assert [line_with(producer, "added")["added"] for _ in range(3)] == ["1", "2", "3"]
        assert producer.wait(20) == 0
    with program("worker", major, url, LEDGER="t", WORKER_NAME="pod-1") as worker:
        assert line_with(worker, '"failed"')["id"] == "3"
        worker.terminate()
        assert line_with(worker, '"closed"')["event"] == "closed"
        assert worker.wait(20) == 0
    with redis_server.client() as client:
        assert set(client.hkeys("ledger:t:added")) == {f"{QUEUE}:{n}" for n in (1, 2, 3)}
        assert client.hgetall("ledger:t:done") == {f"{QUEUE}:{n}": "1" for n in (1, 2)}


def test_a_worker_that_is_told_to_stop_finishes_its_job(redis_url: str, major: Major) -> None:
    bullmq.run(redis_url, QUEUE, ["add", "x", {"ms": 500}], major=major)
    with program("worker", major, redis_url, WORKER_NAME="pod-1") as worker:
        line_with(worker, '"start"')
        worker.terminate()
        assert line_with(worker, '"done"')["id"] == "1"
        assert worker.wait(20) == 0
    assert bullmq.run(redis_url, QUEUE, ["job", "1", "getState"], major=major) == ["completed"]


def test_a_producer_without_an_end_goes_on_after_a_refusal_and_stops_when_told(
    redis_server: RedisServer, major: Major
) -> None:
    with program("producer", major, redis_server.url, COUNT=UNTIL_STOPPED, RATE="50") as producer:
        line_with(producer, "added")
        redis_server.kill()
        line_with(producer, "error")
        redis_server.restart()
        line_with(producer, "added")
        producer.terminate()
        assert producer.wait(20) == 0
