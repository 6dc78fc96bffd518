"""Events: what a user sees in `kubectl describe`, without repetition."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bullmq_operator.domain.observation import QueueVersion
from bullmq_operator.kube.client import KubeClient
from bullmq_operator.kube.session import Session
from devcluster.cluster import Cluster

pytestmark = pytest.mark.cluster

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def events(cluster: Cluster, namespace: str) -> Callable[[], list[dict[str, Any]]]:
    """The operator's Events in the test's namespace."""

    def look() -> list[dict[str, Any]]:
        listed = cluster.kubectl.list("events", namespace)
        return [one for one in listed if one["reportingComponent"] == "bullmq-operator"]

    return look


async def test_an_event_is_shown_with_its_version(
    client: KubeClient, cluster: Cluster, namespace: str, a_version: Callable[..., QueueVersion]
) -> None:
    version = a_version()
    await client.post_event(version, "Held", "2 failed jobs", True, now=NOON)
    text = cluster.kubectl("describe", "queueversion", version.key.name, namespace=namespace)
    (line,) = [line.split() for line in text.splitlines() if "2 failed jobs" in line]
    assert line[:2] == ["Warning", "Held"]
    assert "bullmq-operator" in line


async def test_a_repeated_event_is_counted_up(
    client: KubeClient,
    a_version: Callable[..., QueueVersion],
    events: Callable[[], list[dict[str, Any]]],
) -> None:
    version = a_version()
    for minute in range(3):
        moment = NOON + timedelta(minutes=minute)
        await client.post_event(version, "Current", "serves", False, now=moment)
    (event,) = events()
    assert (event["count"], event["type"]) == (3, "Normal")
    assert event["firstTimestamp"] == "2026-11-23T12:00:00Z"
    assert event["lastTimestamp"] == "2026-11-23T12:02:00Z"


async def test_a_restarted_operator_goes_on_counting(
    client: KubeClient,
    kubeconfig: Path,
    a_version: Callable[..., QueueVersion],
    events: Callable[[], list[dict[str, Any]]],
) -> None:
    version = a_version()
    for _ in range(2):
        await client.post_event(version, "Current", "serves", False, now=NOON)
    restarted = KubeClient(await Session.connect({"KUBECONFIG": str(kubeconfig)}))
    try:
        await restarted.post_event(version, "Current", "serves", False, now=NOON)
    finally:
        await restarted.close()
    assert [event["count"] for event in events()] == [3]


async def test_an_event_that_was_removed_is_told_anew(
    client: KubeClient,
    cluster: Cluster,
    namespace: str,
    a_version: Callable[..., QueueVersion],
    events: Callable[[], list[dict[str, Any]]],
) -> None:
    version = a_version()
    await client.post_event(version, "Current", "serves", False, now=NOON)
    cluster.kubectl("delete", "events", "--all", namespace=namespace)
    await client.post_event(version, "Current", "serves", False, now=NOON)
    assert [event["count"] for event in events()] == [1]


async def test_different_things_are_different_events(
    client: KubeClient,
    a_version: Callable[..., QueueVersion],
    events: Callable[[], list[dict[str, Any]]],
) -> None:
    version = a_version()
    await client.post_event(version, "Held", "1 failed job", True, now=NOON)
    await client.post_event(version, "Held", "2 failed jobs", True, now=NOON)
    assert sorted(event["message"] for event in events()) == ["1 failed job", "2 failed jobs"]


async def test_a_long_name_and_a_long_message_are_cut(
    client: KubeClient,
    a_version: Callable[..., QueueVersion],
    events: Callable[[], list[dict[str, Any]]],
) -> None:
    version = a_version("o" * 253)
    await client.post_event(version, "Held", "ä" * 2000, True, now=NOON)
    (event,) = events()
    assert event["involvedObject"]["name"] == "o" * 253
    assert event["message"].endswith("ä…")
    assert len(event["message"].encode()) <= 1024
