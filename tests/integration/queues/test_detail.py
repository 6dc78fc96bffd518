"""What the messages of blockers need."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bullmq_operator.domain.counts import QueueDetail
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.detail import read_detail
from tests.integration.queues.features import EVERY_MAJOR, Feature, majors_with, yearly
from tests.integration.queues.support import Shop

pytestmark = pytest.mark.redis


@EVERY_MAJOR
async def test_an_idle_queue_has_no_details(connection: RedisConnection, shop: Shop) -> None:
    shop.finish(1)
    assert await read_detail(connection, shop.base) == QueueDetail()


@EVERY_MAJOR
async def test_the_next_and_the_last_delayed_job_are_told(
    connection: RedisConnection, shop: Shop
) -> None:
    before = datetime.now(UTC)
    shop.run(*(["add", "x", {}, {"delay": ms}] for ms in (7_200_000, 3_600_000, 9_000_000)))
    detail = await read_detail(connection, shop.base)
    assert detail.next_delayed is not None
    assert detail.last_delayed is not None
    a_minute = timedelta(minutes=1)
    assert abs(detail.next_delayed - before - timedelta(hours=1)) < a_minute
    assert abs(detail.last_delayed - before - timedelta(hours=2, minutes=30)) < a_minute


async def test_a_delay_beyond_the_calendar_has_no_date(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.raw.zadd(f"{shop.base}delayed", {"1": 1e21})
    assert (await read_detail(connection, shop.base)).next_delayed is None


@EVERY_MAJOR
async def test_a_schedule_is_told_by_the_name_it_was_given(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.run(yearly(shop.major))
    [told] = (await read_detail(connection, shop.base)).schedulers
    assert "yearly" in told


@majors_with(Feature.REPEATABLES)
async def test_a_repeatable_job_is_told_with_the_key_that_removes_it(
    connection: RedisConnection, shop: Shop
) -> None:
    shop.run(["add", "nightly", {}, {"repeat": {"pattern": "0 3 * * *"}}])
    [repeatable] = shop.run(["getRepeatableJobs"])[0]
    [told] = (await read_detail(connection, shop.base)).schedulers
    assert "nightly" in told
    assert repeatable["key"] in told


async def test_at_most_ten_schedulers_are_named(connection: RedisConnection, shop: Shop) -> None:
    shop.run(*(["upsertJobScheduler", f"s{i:02}", {"every": 60_000}] for i in range(12)))
    schedulers = (await read_detail(connection, shop.base)).schedulers
    assert len(schedulers) == 10
    assert set(schedulers) <= {f"s{i:02}" for i in range(12)}


@EVERY_MAJOR
async def test_a_waiting_parent_is_named_with_the_queue_it_waits_for(
    connection: RedisConnection, shop: Shop
) -> None:
    child = {"name": "c", "queueName": "mails/v1", "data": {}}
    parent = {"name": "p", "queueName": shop.name, "data": {}, "opts": {"jobId": "parent"}}
    shop.run(["addFlow", {**parent, "children": [child]}])
    detail = await read_detail(connection, shop.base)
    assert detail.waiting_parents == (("parent", "bull:mails/v1"),)
