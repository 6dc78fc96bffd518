"""The main job where Redis is a Cluster, behind Sentinel, or behind TLS with a private CA."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from devcluster.cluster import Cluster
from devcluster.pki import Authority
from devcluster.redis_cluster import RedisCluster
from devcluster.redis_sentinel import NAME, RedisSentinel
from devcluster.redis_server import RedisServer
from devcluster.tls_front import HOST, TlsFront
from tests.e2e.shop import LATER, Shop


@pytest.fixture
def cluster_shop(cluster: Cluster, namespace: str) -> Iterator[Shop]:
    """On three masters."""
    with RedisCluster() as redis, redis.client() as client:
        yield Shop(
            cluster,
            namespace,
            redis.nodes[0],
            cast(Any, client),
            url=redis.bullmq_url,
            source={"url": redis.url, "topology": "Cluster"},
            prefix="{bull}",
        )


def test_an_old_version_on_a_redis_cluster_goes_away_and_its_neighbour_stays(
    cluster_shop: Shop,
) -> None:
    shop = cluster_shop
    shop.release("1")
    jobs = shop.add("1", 20)
    shop.release("2")
    shop.wait_phase("1", "Retired")
    assert shop.ledger() == dict.fromkeys(jobs, 1)
    assert shop.keys("1") == []
    assert shop.keys("2") != []
    assert shop.replicas("worker-v1") == 0
    assert shop.replicas("worker-v2") == 1


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A private CA."""
    return Authority(tmp_path / "ca")


@pytest.fixture
def tls_shop(cluster: Cluster, namespace: str, authority: Authority) -> Iterator[Shop]:
    """Behind TLS, with a password; the CA is in a ConfigMap, the password in a Secret."""
    pair = authority.server("redis", addresses=[HOST], dns=[])
    with (
        RedisServer(password="s3cret") as redis,
        TlsFront(redis.port, pair) as front,
        redis.client() as client,
    ):
        shop = Shop(
            cluster,
            namespace,
            redis,
            client,
            url=f"rediss://:s3cret@{HOST}:{front.port}/0?ca={authority.certificate}",
            source={
                "url": front.url,
                "passwordFrom": {"secretKeyRef": {"name": "redis", "key": "password"}},
                "tls": {"caFrom": {"configMapKeyRef": {"name": "ca", "key": "ca.crt"}}},
            },
        )
        shop.kubectl("create", "secret", "generic", "redis", "--from-literal=password=s3cret")
        name_ca(shop, authority)
        yield shop


def name_ca(shop: Shop, authority: Authority) -> None:
    """Put a CA where `spec.redis` looks for it."""
    shop.cluster.kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "ca"},
            "data": {"ca.crt": authority.certificate.read_text()},
        },
        shop.namespace,
    )


def test_an_old_version_behind_tls_goes_away(tls_shop: Shop) -> None:
    shop = tls_shop
    shop.release("1")
    jobs = shop.add("1", 20)
    shop.release("2")
    shop.wait_phase("1", "Retired")
    assert shop.ledger() == dict.fromkeys(jobs, 1)
    assert shop.keys("1") == []


def test_with_another_ca_nothing_is_known_until_the_right_one_is_there(
    tls_shop: Shop, authority: Authority, tmp_path: Path
) -> None:
    shop = tls_shop
    name_ca(shop, Authority(tmp_path / "another"))
    shop.declare("1", shop.workers("1"))
    away = shop.wait_condition("1", "BackendReachable", status="False", reason="TLSFailed")
    assert "name its CA in spec.redis.tls.caFrom" in away["message"]
    assert shop.condition("1", "Ready")["status"] == "Unknown"
    name_ca(shop, authority)
    shop.wait_phase("1", "Current")


@pytest.fixture
def sentinels() -> Iterator[RedisSentinel]:
    """A master that a test may lose."""
    with RedisSentinel() as started:
        yield started


@pytest.fixture
def sentinel_shop(cluster: Cluster, namespace: str, sentinels: RedisSentinel) -> Iterator[Shop]:
    """Behind Sentinel."""
    addresses = [(node.split(":")[0], int(node.split(":")[1])) for node in sentinels.nodes]
    patience = Retry(ConstantBackoff(0.1), 300)
    client = Sentinel(addresses).master_for(NAME, decode_responses=True, retry=patience)
    yield Shop(
        cluster,
        namespace,
        sentinels.servers[0],
        client,
        url=sentinels.bullmq_url,
        source={"sentinel": {"masterName": NAME, "nodes": list(sentinels.nodes)}},
    )
    client.close()


def test_a_failover_in_the_middle_of_a_drain_loses_nothing_that_redis_did_not(
    sentinel_shop: Shop, sentinels: RedisSentinel
) -> None:
    shop = sentinel_shop
    shop.release("1")
    jobs = shop.add("1", 5)
    shop.wait_done(jobs)
    [last] = shop.add("1", 1, opts=LATER)
    shop.release("2")
    shop.wait_condition("1", "Drained", status="False", reason="UnfinishedJobs")
    sentinels.wait_synced()
    sentinels.lose_master()
    blocked = shop.wait_condition("1", "Drained", status="False", reason="UnfinishedJobs")
    assert "1 delayed" in blocked["message"]
    assert shop.replicas("worker-v1") == 1
    shop.on_queue("1", "job", last.rpartition(":")[2], "promote")
    shop.wait_phase("1", "Retired")
    assert shop.done() == jobs | {last}
    assert shop.keys("1") == []
