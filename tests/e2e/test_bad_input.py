"""What is wrong with a QueueVersion and shows only later: named, with what to do, and nothing is
touched until it is put right; then it goes on by itself."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from devcluster.redis_server import RedisServer
from tests.e2e.shop import Shop

Spec = dict[str, Any]
PASSWORD = "s3cret"
WRONG = "wr0ng"


@dataclass(frozen=True, slots=True)
class Scene:
    """A version with a mistake in it, and what is needed to make one."""

    shop: Shop
    replica: RedisServer
    version: str

    def secret(self, **values: str) -> Spec:
        """The Secret that the spec names, with these keys."""
        metadata = {"name": f"redis-v{self.version}"}
        manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
        self.shop.cluster.kubectl.apply(manifest | {"stringData": values}, self.shop.namespace)
        return self.from_secret()

    def from_secret(self) -> Spec:
        """Names the Secret, whether it exists or not."""
        ref = {"name": f"redis-v{self.version}", "key": "url"}
        return {"redis": {"urlFrom": {"secretKeyRef": ref}}}

    def as_user(self, *rules: str, password: str = PASSWORD) -> Spec:
        """A Redis user of this version's own, whom these rules limit."""
        user = f"operator-v{self.version}"
        self.shop.client.execute_command("ACL SETUSER", user, "on", f">{PASSWORD}", "~*", *rules)
        return self.secret(url=self.shop.redis.url_for(user, password))

    def right_secret(self) -> None:
        self.secret(url=self.shop.redis.url)

    def right_url(self) -> None:
        self.shop.patch(self.version, redis={"url": self.shop.redis.url})


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong, what is said of it, and its cure."""

    what: str
    make: Callable[[Scene], Spec]
    """Returns the part of the spec that has it or leads to it."""
    reason: str
    says: tuple[str, ...]
    cure: Callable[[Scene], object]
    needs_edit: bool = False
    """Whether an object must be edited: then it is `Stalled`."""


MISTAKES = (
    Mistake(
        "a missing Secret",
        Scene.from_secret,
        "SecretNotFound",
        ('Secret "redis-v1"', "create it, or correct spec.redis"),
        Scene.right_secret,
        needs_edit=True,
    ),
    Mistake(
        "a Secret without the key",
        lambda scene: scene.secret(other="value"),
        "SecretKeyNotFound",
        ('has no key "url"', "correct the Secret, or the key that spec.redis names"),
        Scene.right_secret,
        needs_edit=True,
    ),
    Mistake(
        "a Secret with no address in it",
        lambda scene: scene.secret(url=PASSWORD),
        "InvalidRedisURL",
        ("not of the form redis://host:port/db",),
        Scene.right_secret,
        needs_edit=True,
    ),
    Mistake(
        "a wrong password",
        lambda scene: scene.as_user("+@all", password=WRONG),
        "AuthenticationFailed",
        ("refused the user name or password", "correct"),
        Scene.as_user,
    ),
    Mistake(
        "an ACL that is too narrow",
        lambda scene: scene.as_user("+@all", "-xinfo"),
        "CommandForbidden",
        ("the command XINFO", "extend the user's ACL"),
        lambda scene: scene.as_user("+xinfo"),
    ),
    Mistake(
        "a read-only replica",
        lambda scene: {"redis": {"url": scene.replica.url}},
        "ReadOnlyReplica",
        ("use the address of the primary",),
        Scene.right_url,
    ),
    Mistake(
        "the wrong database",
        lambda scene: {"redis": {"url": f"{scene.shop.redis.url}/5"}},
        "QueueNotFound",
        ('"bull:orders/v7" was never seen', "/5", "check queueName, prefix and the database"),
        Scene.right_url,
    ),
    Mistake(
        "no Redis at all",
        lambda _: {"redis": {}},
        "NoRedisConfigured",
        ("set spec.redis.url",),
        Scene.right_url,
        needs_edit=True,
    ),
    Mistake(
        "an address where nothing listens",
        lambda _: {"redis": {"url": "redis://127.0.0.1:1"}},
        "RedisUnreachable",
        ("127.0.0.1:1/0 can't be reached",),
        Scene.right_url,
    ),
    Mistake(
        "a missing workload",
        lambda scene: {"workers": [{"name": f"worker-v{scene.version}"}, {"name": "absent"}]},
        "WorkloadNotFound",
        ("Deployment absent not found in namespace", "create it, or correct spec.workers"),
        lambda scene: scene.shop.workers(scene.version, name="absent"),
    ),
)


@pytest.fixture
def scenes(shop: Shop) -> Iterator[list[Scene]]:
    """One for each mistake, all in one namespace, since they mostly wait. Their workers are fine
    and their jobs are done."""
    follow = ("--replicaof", shop.redis.host, str(shop.redis.port))
    with RedisServer(settings=follow) as replica:
        found = [Scene(shop, replica, str(number)) for number in range(1, len(MISTAKES) + 1)]
        for scene in found:
            shop.workers(scene.version)
        shop.wait_done({job for scene in found for job in shop.add(scene.version, 1)})
        for scene in found:
            shop.wait_ready(f"worker-v{scene.version}", replicas=1)
        yield found


def test_what_is_wrong_is_named_and_nothing_is_touched_until_it_is_put_right(
    shop: Shop, scenes: list[Scene]
) -> None:
    """Each version is to be retired and its queue is empty: all that stops it is the mistake."""
    pairs = list(zip(scenes, MISTAKES, strict=True))
    for scene, mistake in pairs:
        spec = {"state": "Retired", **mistake.make(scene)}
        shop.declare(scene.version, f"worker-v{scene.version}", **spec)
    for scene, mistake in pairs:
        seen = {"status": "Unknown", "reason": mistake.reason}
        unknown = shop.wait_condition(scene.version, "Drained", **seen)
        unsaid = [words for words in mistake.says if words not in unknown["message"]]
        assert unsaid == [], f"{mistake.what}: {unknown['message']}"
        stalled = shop.condition(scene.version, "Stalled")
        assert bool(stalled) is mistake.needs_edit, mistake.what
        assert stalled.get("message", "Configuration: ").startswith("Configuration: ")
        told = json.dumps(shop.status(scene.version)["conditions"])
        assert PASSWORD not in told, mistake.what
        assert WRONG not in told, mistake.what

    cured_at = datetime.datetime.now(datetime.UTC)
    for scene, mistake in pairs:
        mistake.cure(scene)
    for scene, mistake in pairs:
        shop.wait_phase(scene.version, "Retired")
        [scaled] = shop.scalings(f"worker-v{scene.version}")
        assert scaled > cured_at, mistake.what
        assert shop.keys(scene.version) == [], mistake.what


def test_a_field_that_is_not_supported_yet_is_named_and_the_version_is_left_alone(
    shop: Shop,
) -> None:
    shop.wait_ready(shop.workers("1"), replicas=1)
    shop.wait_done(shop.add("1", 3))
    shop.declare("1", "worker-v1", state="Retired", deletionPolicy="Retire")
    stalled = shop.wait_condition("1", "Stalled", status="True", reason="NotSupportedYet")
    assert "deletionPolicy: Retire" in stalled["message"]
    assert "remove it to go on; until then nothing is changed" in stalled["message"]
    shop.wait_polls()
    assert shop.scalings("worker-v1") == []

    shop.patch("1", deletionPolicy="Orphan")
    shop.wait_phase("1", "Retired")


def test_a_redis_that_may_drop_jobs_is_warned_of_and_the_work_goes_on(shop: Shop) -> None:
    shop.client.config_set("maxmemory-policy", "allkeys-lru")
    shop.release("1")
    backend = shop.wait_condition("1", "BackendReachable", reason="EvictionAllowed")
    assert "maxmemory-policy is allkeys-lru" in backend["message"]
    assert "set it to noeviction" in backend["message"]
    assert "set it to noeviction" in shop.events("1")["EvictionAllowed"]

    shop.client.config_set("maxmemory-policy", "noeviction")
    shop.wait_condition("1", "BackendReachable", reason="Connected")
