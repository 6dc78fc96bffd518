"""The embedded Redis-compatible server."""

from __future__ import annotations

import pytest
import redis

from devcluster import bullmq
from devcluster.bullmq import ScriptError
from devcluster.redis_server import RedisServer

pytestmark = pytest.mark.redis


def test_it_is_set_up_as_bullmq_wants_it(redis_server: RedisServer) -> None:
    client = redis_server.client()
    assert client.config_get("maxmemory-policy", "appendonly") == {
        "maxmemory-policy": "noeviction",
        "appendonly": "yes",
    }
    client.close()


@pytest.mark.parametrize(
    ("keep", "expected"),
    [pytest.param(True, "here", id="with data"), pytest.param(False, None, id="without data")],
)
def test_a_restart_keeps_or_loses_its_data(
    redis_server: RedisServer, keep: bool, expected: str | None
) -> None:
    client = redis_server.client()
    client.set("key", "here")
    client.execute_command("WAITAOF", 1, 0, 5000)  # what SIGKILL must not lose is on disk
    port = redis_server.port
    redis_server.restart(keep_data=keep)
    assert client.get("key") == expected
    assert redis_server.port == port
    client.close()


def test_a_password_and_a_narrow_user_are_enforced() -> None:
    rule = "reader on >secret ~bull:* +@read"
    with RedisServer(password="p@ss word", users=(rule,)) as server:
        reader = redis.Redis.from_url(server.url_for("reader", "secret"))
        with pytest.raises(redis.exceptions.NoPermissionError):
            reader.set("bull:key", "1")
        with redis.Redis(port=server.port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        with server.client() as owner:
            assert owner.ping()
        reader.close()


def test_a_paused_server_hangs_and_a_resumed_one_answers(redis_server: RedisServer) -> None:
    client = redis.Redis(port=redis_server.port, socket_timeout=0.3, retry=None)
    client.ping()
    redis_server.pause()
    with pytest.raises(redis.TimeoutError):
        client.ping()
    redis_server.resume()
    assert client.ping()
    client.close()


def test_real_bullmq_does_a_script_of_steps(redis_url: str) -> None:
    results = bullmq.run(
        redis_url,
        "orders/v1",
        ["addBulk", bullmq.jobs(4)],
        ["add", "later", {}, {"delay": 60_000}],
        ["process", 2],
        ["process", 1, {"fail": True}],
        ["job", "1", "getState"],
        ["getJobCounts", "waiting", "delayed", "completed", "failed"],
    )
    assert results[2:] == [
        ["1", "2"],
        ["3"],
        "completed",
        {"waiting": 1, "delayed": 1, "completed": 2, "failed": 1},
    ]


def test_a_step_that_bullmq_refuses_is_named(redis_url: str) -> None:
    with pytest.raises(ScriptError, match="upsertJobScheduler"):
        bullmq.run(redis_url, "orders/v1", ["upsertJobScheduler", "s", {}])
