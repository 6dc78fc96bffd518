"""What servers and redis-py say, word by word, that the servers of the other tests don't say."""

from __future__ import annotations

import pytest
from redis import exceptions as vendor

from bullmq_operator.domain.counts import UnknownReason
from bullmq_operator.queues.errors import QueueReadError, refusal_in_script, translated

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("said", "reason", "says"),
    [
        pytest.param(
            "!ERR The user executing the script can't run this command or subcommand script: "
            "8a1f, on @user_script:12.",
            UnknownReason.FORBIDDEN,
            "forbids its user a command or a key; extend the user's ACL",
            id="Redis 7.0, a command",
        ),
        pytest.param(
            "!ERR The user executing the script can't access at least one of the keys mentioned "
            "in the command arguments script: 8a1f, on @user_script:12.",
            UnknownReason.FORBIDDEN,
            "forbids its user a command or a key",
            id="Redis 7.0, a key",
        ),
        pytest.param(
            "!Script attempted to access a non local key in a cluster node",
            UnknownReason.UNREACHABLE,
            "is moving the queue's slot to another node",
            id="a slot on its way",
        ),
        pytest.param(
            "!WRONGTYPE Operation against a key holding the wrong kind of value",
            UnknownReason.WRONG_TYPE,
            "A key of queue bull:orders is of a type that BullMQ does not write",
            id="a key of another type",
        ),
        pytest.param(
            "!ERR something new", UnknownReason.UNREACHABLE, "could not read queue", id="anything"
        ),
    ],
)
def test_what_a_script_says_of_one_queue(said: str, reason: UnknownReason, says: str) -> None:
    unknown = refusal_in_script(said, "cache:6379/0", "bull:orders:")
    assert unknown.reason is reason
    assert says in unknown.message


@pytest.mark.parametrize(
    ("error", "reason", "says"),
    [
        pytest.param(
            vendor.ConnectionError("-DENIED Redis is running in protected mode because ..."),
            UnknownReason.FORBIDDEN,
            "is in protected mode",
            id="protected mode",
        ),
        pytest.param(
            vendor.ResponseError("MISCONF Redis is configured to save RDB snapshots, but ..."),
            UnknownReason.UNREACHABLE,
            "can't save to its disk",
            id="a full disk",
        ),
        pytest.param(
            vendor.ResponseError("unknown command `CLIENT`, with args beginning with: `LIST` "),
            UnknownReason.FORBIDDEN,
            "forbids its user the command CLIENT;",
            id="a command that a managed Redis has taken away",
        ),
        pytest.param(
            vendor.ClusterError("TTL exhausted."),
            UnknownReason.UNREACHABLE,
            "is moving the queue's slot",
            id="sent from node to node",
        ),
        pytest.param(
            vendor.ResponseError(f"ODD {SECRET}"),
            UnknownReason.UNREACHABLE,
            "refused a command (ODD)",
            id="anything else, by its first word alone",
        ),
        pytest.param(
            vendor.ConnectionError(f"Error 5 connecting to redis://:{SECRET}@cache"),
            UnknownReason.UNREACHABLE,
            "can't be reached; it is asked again",
            id="any other failure of the way",
        ),
    ],
)
def test_what_the_library_raises(error: Exception, reason: UnknownReason, says: str) -> None:
    with pytest.raises(QueueReadError) as caught, translated("cache:6379/0"):
        raise error
    assert caught.value.reason is reason
    assert caught.value.message.startswith("Redis cache:6379/0 ")
    assert says in caught.value.message
    assert SECRET not in caught.value.message
