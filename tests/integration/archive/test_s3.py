"""Archives in S3: moto's, over HTTP, with users whose rights are checked."""

from __future__ import annotations

import asyncio
import base64
import logging
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from bullmq_operator.__main__ import main
from bullmq_operator.archive.destination import Destination, parse
from bullmq_operator.archive.errors import ArchiveError, ArchiveReason
from bullmq_operator.archive.restoring import Target, restore
from bullmq_operator.archive.stores import PART_BYTES, open_store
from devcluster.network import free_port
from tests.integration.archive.support import Shelf
from tests.support.s3 import S3

pytestmark = pytest.mark.redis
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def bucket(s3: S3, request: pytest.FixtureRequest) -> Destination:
    """A path of the test's own, by one who may write it."""
    return parse(f"s3://{s3.bucket}/{request.node.name}", credentials=s3.writer)


async def test_an_archive_in_a_bucket_comes_back_as_it_was(
    shelf: Shelf, bucket: Destination
) -> None:
    shelf.run(["addBulk", [{"name": "x", "data": {"to": "日本"}, "opts": {}}] * 5])
    before = shelf.jobs_snapshot()
    outcome = await shelf.archive(destination=bucket)
    assert outcome.url.startswith(f"s3://{bucket.place}/{bucket.path}/shop/orders-v1-")
    shelf.forget()
    await restore_from(shelf, bucket, outcome.url)
    assert shelf.jobs_snapshot() == before


async def test_an_archive_of_several_parts_is_one_object(shelf: Shelf, bucket: Destination) -> None:
    """Its content does not compress much."""
    shelf.run(["add", "x", {}, {}])
    dice = random.Random(1)
    for number in range(24):
        digits = base64.b64encode(dice.randbytes(750_000)).decode()
        shelf.raw.hset(f"{shelf.base}1", f"more{number}", digits)
    before = shelf.jobs_snapshot()
    outcome = await shelf.archive(destination=bucket)
    size = 0
    async for chunk in open_store(bucket).read(name_in(bucket, outcome.url)):
        size += len(chunk)
    assert size > 2 * PART_BYTES
    shelf.forget()
    await restore_from(shelf, bucket, outcome.url)
    assert shelf.jobs_snapshot() == before


async def test_a_repetition_takes_the_object_that_is_there(
    shelf: Shelf, bucket: Destination
) -> None:
    shelf.shop.finish(3)
    first = await shelf.archive(destination=bucket)
    again = await shelf.archive(destination=bucket)
    assert (again.url, again.reused) == (first.url, True)


async def test_a_partial_object_under_the_name_is_written_again(
    shelf: Shelf, bucket: Destination
) -> None:
    shelf.shop.finish(3)
    first = await shelf.archive(destination=bucket)
    store, name = open_store(bucket), name_in(bucket, first.url)
    whole = b"".join([chunk async for chunk in store.read(name)])
    async with store.write(name, NOW) as write:
        await write(whole[:-20])
    assert await shelf.archive(destination=bucket) == first
    assert b"".join([chunk async for chunk in store.read(name)]) == whole


async def test_the_command_takes_its_credentials_from_the_environment(
    shelf: Shelf, bucket: Destination, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.shop.finish(3)
    before = shelf.jobs_snapshot()
    outcome = await shelf.archive(destination=bucket)
    shelf.forget()
    for name, value in s3.writer.items():
        monkeypatch.setenv(name, value)
    arguments = ["restore", outcome.url, "--redis", shelf.url, "--queue", shelf.name]
    assert await asyncio.to_thread(main, arguments) == 0
    assert shelf.jobs_snapshot() == before


async def test_an_upload_that_fails_leaves_no_object(bucket: Destination) -> None:
    store = open_store(bucket)

    async def fail() -> None:
        async with store.write("x.jsonl.gz", NOW) as write:
            await write(b"x" * (PART_BYTES + 1))
            raise InterruptedError

    with pytest.raises(ArchiveError):
        await fail()
    assert not await store.exists("x.jsonl.gz")


# --- what people can do wrong


def secrets(s3: S3, name: str) -> tuple[str, dict[str, str]]:
    """(bucket, Secret) of each mistake."""
    nowhere = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    return {
        "missing bucket": ("nowhere", s3.writer),
        "unknown key": (s3.bucket, s3.writer | {"AWS_ACCESS_KEY_ID": "AKIAUNKNOWN"}),
        "wrong secret": (s3.bucket, s3.writer | {"AWS_SECRET_ACCESS_KEY": "wrong-hidden"}),
        "no right": (s3.bucket, s3.stranger),
        "no server": (s3.bucket, s3.writer | nowhere),
        "half a login": (s3.bucket, {"AWS_ACCESS_KEY_ID": "AKIAHALF"}),
    }[name]


@pytest.mark.parametrize(
    ("mistake", "reason", "says"),
    [
        pytest.param(name, reason, says, id=name)
        for name, reason, says in [
            ("missing bucket", ArchiveReason.MISSING, "s3://nowhere does not exist"),
            ("unknown key", ArchiveReason.FORBIDDEN, "refuses the credentials"),
            ("wrong secret", ArchiveReason.FORBIDDEN, "refuses the credentials"),
            ("no right", ArchiveReason.FORBIDDEN, "refuses the credentials"),
            ("no server", ArchiveReason.UNREACHABLE, "can't be reached"),
            ("half a login", ArchiveReason.CREDENTIALS, "has no key AWS_SECRET_ACCESS_KEY"),
        ]
    ],
)
async def test_a_mistake_is_told_in_one_sentence_without_a_credential(
    shelf: Shelf,
    s3: S3,
    mistake: str,
    reason: ArchiveReason,
    says: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    shelf.shop.finish(1)
    bucket, secret = secrets(s3, mistake)
    destination = parse(f"s3://{bucket}/x", credentials=secret)
    with pytest.raises(ArchiveError) as error:
        await shelf.archive(destination=destination)
    assert error.value.reason is reason
    assert error.value.message.startswith("spec.retire.archive.url: ")
    assert says in error.value.message
    everything = told(error.value) + caplog.text + repr(destination)
    hidden = [value for name, value in secret.items() if "KEY" in name]
    assert [value for value in hidden if value in everything] == []


def told(error: BaseException | None) -> str:
    """All that a traceback could print."""
    text = ""
    while error is not None:
        text += f"{error!r} {error}\n"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return text


def name_in(bucket: Destination, url: str) -> str:
    return url.removeprefix(bucket.url("") + "/")


async def restore_from(shelf: Shelf, bucket: Destination, url: str) -> Any:
    name = name_in(bucket, url)
    return await restore(shelf.connection, bucket, name, Target(shelf.base))
