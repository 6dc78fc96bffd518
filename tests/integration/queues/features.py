"""What each BullMQ can do, and steps that make it do all of it: every kind of key comes about."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Final

import pytest

from devcluster import bullmq
from devcluster.bullmq import Major
from tests.integration.queues.support import FAILING, Shop, Step

LATER: Final = 3_600_000
"""Milliseconds: longer than any test takes."""
_YEARLY: Final = {"pattern": "0 0 1 1 *"}


class Feature(enum.StrEnum):
    """What not every BullMQ has; all else that is used here they all have."""

    SCHEDULERS = "job schedulers"
    REPEATABLES = "repeatable jobs"
    PAUSED_LIST = "a pause that renames the wait list"
    WAIT_MARKERS = "markers among the waiting jobs"
    DEDUPLICATION = "deduplication"
    LIMITS = "global concurrency and a global rate limit"
    FAILED_CHILDREN = "keys for children that failed"
    COLONS_IN_IDS = "job ids with a colon"


LACKS: Final[Mapping[Major, frozenset[Feature]]] = {
    Major.V4: frozenset(
        {Feature.SCHEDULERS, Feature.DEDUPLICATION, Feature.LIMITS, Feature.FAILED_CHILDREN}
    ),
    Major.V5: frozenset({Feature.WAIT_MARKERS, Feature.COLONS_IN_IDS}),
    Major.V6: frozenset(
        {Feature.REPEATABLES, Feature.PAUSED_LIST, Feature.WAIT_MARKERS, Feature.COLONS_IN_IDS}
    ),
    Major.PYTHON: frozenset({Feature.REPEATABLES, Feature.PAUSED_LIST, Feature.WAIT_MARKERS}),
}
"""The whole table: a test is skipped for a major because of a line here, and for nothing else."""

EVERY_MAJOR: Final = pytest.mark.parametrize("major", Major)


def has(major: Major, feature: Feature) -> bool:
    """Whether this BullMQ has it."""
    return feature not in LACKS[major]


def majors_with(feature: Feature) -> pytest.MarkDecorator:
    """Like EVERY_MAJOR, but those that lack it are skipped and say so."""
    return pytest.mark.parametrize(
        "major",
        [
            pytest.param(
                major,
                id=major,
                marks=pytest.mark.skipif(
                    not has(major, feature), reason=f"{major} lacks {feature}"
                ),
            )
            for major in Major
        ],
    )


def yearly(major: Major) -> Step:
    """A schedule, in the way of this BullMQ; its next job is delayed."""
    if has(major, Feature.SCHEDULERS):
        return ["upsertJobScheduler", "yearly", _YEARLY, {"name": "yearly"}]
    return ["add", "yearly", {}, {"repeat": _YEARLY}]


def node(queue: str, job: str, *children: Any, **opts: Any) -> dict[str, Any]:
    """A job of a flow, for `addFlow`."""
    one = {"name": "x", "queueName": queue, "data": {}, "opts": {"jobId": job, **opts}}
    return {**one, "children": list(children)} if children else one


def use_everything(shop: Shop) -> None:
    """Leave jobs in every state, and a key of every kind, as far as this BullMQ has them."""
    counting = {"worker": {"metrics": {"maxDataPoints": 10}}}
    limited = {"worker": {"limiter": {"max": 1000, "duration": LATER}}}
    shop.run(
        ["addBulk", bullmq.jobs(4)],
        ["process", 2, counting],
        ["process", 1, counting | FAILING],
        ["process", 1, limited],
        ["job", "1", "log", "a line"],
        ["job", "1", "updateProgress", 50],
        [
            "add",
            "x",
            {},
            {"jobId": "r", "attempts": 3, "backoff": {"type": "fixed", "delay": LATER}},
        ],
        ["process", 1, FAILING],
    )
    for feature, steps in _special(shop.name).items():
        if has(shop.major, feature):
            shop.run(*steps)
    shop.run(
        ["addFlow", node(shop.name, "parent", node(shop.name, "child"), node(shop.name, "sister"))],
        ["process", 1],
        ["add", "x", {}, {"jobId": "later", "delay": LATER}],
        ["addBulk", bullmq.jobs(2, opts={"priority": 7})],
        ["addBulk", bullmq.jobs(2)],
        ["pause"],
    )


def _special(queue: str) -> Mapping[Feature, list[Step]]:
    return {
        Feature.FAILED_CHILDREN: [
            *(
                [
                    "addFlow",
                    node(queue, f"{what}-parent", node(queue, f"{what}-child", **{what: True})),
                ]
                for what in (
                    "failParentOnFailure",
                    "ignoreDependencyOnFailure",
                    "continueParentOnFailure",
                    "removeDependencyOnFailure",
                )
            ),
            ["process", 4, FAILING],
        ],
        Feature.DEDUPLICATION: [
            ["add", "x", {}, {"deduplication": {"id": "brief", "ttl": LATER}}],
            ["add", "x", {}, {"deduplication": {"id": "simple"}}],
            ["process", 2],
        ],
        Feature.LIMITS: [["setGlobalConcurrency", 3], ["setGlobalRateLimit", 1000, 1000]],
        Feature.REPEATABLES: [["add", "nightly", {}, {"repeat": _YEARLY}]],
        Feature.SCHEDULERS: [
            ["upsertJobScheduler", "nightly", _YEARLY, {"name": "n"}],
            ["upsertJobScheduler", "often", {"every": LATER}, {"name": "n"}],
        ],
    }


def finish_everything(shop: Shop) -> None:
    """What a team does before it lets go: no more schedules, no pause, nothing put off."""
    if has(shop.major, Feature.SCHEDULERS):
        shop.run(["removeJobScheduler", "nightly"], ["removeJobScheduler", "often"])
    if has(shop.major, Feature.REPEATABLES):
        repeated = shop.run(["getRepeatableJobs"])[0]
        shop.run(*(["removeRepeatableByKey", one["key"]] for one in repeated))
    shop.run(["resume"], ["promoteJobs"])
