"""Where a Redis's address and password come from: real Secrets, with the operator's own rights."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bullmq_operator.clock import Clock
from bullmq_operator.domain.counts import QueueReading, Unknown, UnknownReason
from bullmq_operator.domain.names import RedisSource, SecretKeyRef
from bullmq_operator.domain.observation import QueueVersion
from bullmq_operator.kube.client import KubeClient
from bullmq_operator.kube.errors import KubeError
from bullmq_operator.observer.backends import RESOLVE_AGAIN_S, RETRY_S, DefaultRedis
from devcluster.cluster import Cluster
from devcluster.redis_server import RedisServer
from tests.integration.observer.support import Eyes, a_version

pytestmark = [pytest.mark.cluster, pytest.mark.redis]

PASSWORD = "p@ss/word"


class AheadClock(Clock):
    """The machine's clock, set ahead by hand: nobody waits five minutes."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


@pytest.fixture
def clock() -> AheadClock:
    return AheadClock()


@pytest.fixture
def guarded_redis() -> Iterator[RedisServer]:
    """A Redis with a password."""
    with RedisServer(password=PASSWORD) as server:
        yield server


def secret(cluster: Cluster, namespace: str, **values: str) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "redis"},
        "stringData": values,
    }
    cluster.kubectl.apply(manifest, namespace)


def with_password(namespace: str, server: RedisServer) -> QueueVersion:
    url = f"redis://{server.host}:{server.port}"
    source = RedisSource(url=url, password_from=SecretKeyRef("redis", "password"))
    return a_version(None, namespace=namespace, redis=source)


async def look(eyes: Eyes, version: QueueVersion) -> UnknownReason | None:
    """None: it could be read."""
    seen = await eyes.look(version, insist=True)
    return seen.reading.reason if isinstance(seen.reading, Unknown) else None


async def test_what_is_missing_is_named_and_found_once_it_is_there(
    client: KubeClient,
    cluster: Cluster,
    namespace: str,
    clock: AheadClock,
    guarded_redis: RedisServer,
) -> None:
    eyes, version = Eyes(secrets=client, clock=clock), with_password(namespace, guarded_redis)
    assert await look(eyes, version) is UnknownReason.SECRET_MISSING
    secret(cluster, namespace, wrong_key="x")
    clock.ahead += RETRY_S
    assert await look(eyes, version) is UnknownReason.SECRET_KEY_MISSING
    secret(cluster, namespace, password="wrong")
    clock.ahead += RETRY_S
    assert await look(eyes, version) is UnknownReason.WRONG_PASSWORD
    secret(cluster, namespace, password=PASSWORD)
    clock.ahead += RETRY_S
    assert await look(eyes, version) is None
    await eyes.backends.close()


async def test_no_unknown_ever_shows_a_secret(
    client: KubeClient, cluster: Cluster, namespace: str, guarded_redis: RedisServer
) -> None:
    secret(cluster, namespace, password="hunter2")
    eyes, version = Eyes(secrets=client), with_password(namespace, guarded_redis)
    seen = await eyes.look(version)
    assert isinstance(seen.reading, Unknown)
    assert "hunter2" not in f"{seen!r} {eyes.backends.__dict__!r}"
    await eyes.backends.close()


async def test_a_url_that_was_rotated_is_followed_in_time_and_at_once_before_a_deletion(
    client: KubeClient,
    cluster: Cluster,
    namespace: str,
    clock: AheadClock,
    redis_server: RedisServer,
) -> None:
    with RedisServer() as new:
        secret(cluster, namespace, url=redis_server.url)
        eyes = Eyes(secrets=client, clock=clock)
        source = RedisSource(url_from=SecretKeyRef("redis", "url"))
        version = a_version(None, namespace=namespace, redis=source)
        assert (await eyes.look(version)).redis == f"{redis_server.host}:{redis_server.port}/0"
        secret(cluster, namespace, url=new.url)
        assert (await eyes.look(version)).redis == f"{redis_server.host}:{redis_server.port}/0"
        clock.ahead += RESOLVE_AGAIN_S
        seen = await eyes.look(version)
        assert (seen.redis, type(seen.reading)) == (f"{new.host}:{new.port}/0", QueueReading)
        secret(cluster, namespace, url=redis_server.url)
        fresh = await eyes.backends.connection(version.queue, fresh=True)
        assert not isinstance(fresh, Unknown)
        assert fresh.address == f"{redis_server.host}:{redis_server.port}/0"
        await eyes.backends.close()


async def test_a_secret_that_held_no_address_is_read_again_once_it_was_corrected(
    client: KubeClient,
    cluster: Cluster,
    namespace: str,
    clock: AheadClock,
    redis_server: RedisServer,
) -> None:
    secret(cluster, namespace, url=PASSWORD)
    eyes = Eyes(secrets=client, clock=clock)
    source = RedisSource(url_from=SecretKeyRef("redis", "url"))
    version = a_version(None, namespace=namespace, redis=source)
    assert await look(eyes, version) is UnknownReason.BAD_URL
    secret(cluster, namespace, url=redis_server.url)
    clock.ahead += RETRY_S
    assert await look(eyes, version) is None
    await eyes.backends.close()


async def test_the_secret_of_the_default_redis_may_come_later_and_serves_all_namespaces(
    client: KubeClient,
    cluster: Cluster,
    namespace: str,
    clock: AheadClock,
    redis_server: RedisServer,
) -> None:
    default = DefaultRedis(secret=(namespace, SecretKeyRef("redis", "url")))
    eyes = Eyes(secrets=client, default=default, clock=clock)
    versions = [a_version(None, namespace=team) for team in ("shop", "pay")]
    seen = await eyes.look(versions[0], insist=True)
    assert isinstance(seen.reading, Unknown)
    assert seen.reading.reason is UnknownReason.NOT_CONFIGURED
    assert f'create Secret "redis" in namespace "{namespace}" with the key "url"' in str(seen)
    secret(cluster, namespace, url=redis_server.url)
    clock.ahead += RETRY_S
    addresses = {(await eyes.look(version, insist=True)).redis for version in versions}
    assert addresses == {f"{redis_server.host}:{redis_server.port}/0"}
    await eyes.backends.close()


class Fickle:
    """An API server that answers once."""

    def __init__(self, url: str) -> None:
        self._answers = [url]

    async def read_secret_key(self, namespace: str, ref: SecretKeyRef) -> str:
        if not self._answers:
            raise KubeError(f"{ref.name} in {namespace}: 503")
        return self._answers.pop()


async def test_an_api_server_that_does_not_answer_says_nothing_against_what_it_said(
    clock: AheadClock, redis_server: RedisServer
) -> None:
    eyes = Eyes(secrets=Fickle(redis_server.url), clock=clock)
    version = a_version(None, redis=RedisSource(url_from=SecretKeyRef("redis", "url")))
    assert await look(eyes, version) is None
    fresh = await eyes.backends.connection(version.queue, fresh=True)
    assert isinstance(fresh, Unknown), "before a deletion it has to be known"
    clock.ahead += RESOLVE_AGAIN_S
    assert await look(eyes, version) is None
    await eyes.backends.close()


async def test_what_a_version_says_beside_the_default_redis_holds(
    client: KubeClient, cluster: Cluster, namespace: str, redis_server: RedisServer
) -> None:
    secret(cluster, namespace, url=redis_server.url)
    default = DefaultRedis(secret=(namespace, SecretKeyRef("redis", "url")))
    eyes = Eyes(secrets=client, default=default)
    version = a_version(None, redis=RedisSource(topology="Cluster"))
    assert await look(eyes, version) is UnknownReason.WRONG_TOPOLOGY
    await eyes.backends.close()
