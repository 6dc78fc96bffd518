"""Who may archive where, and under which name."""

from __future__ import annotations

import errno

import pytest

from bullmq_operator.archive.destination import allowed, file_name, parse
from bullmq_operator.archive.errors import ArchiveError, ArchiveReason, translated
from bullmq_operator.domain.archive import ArchivedJobs
from bullmq_operator.domain.names import Backend, QueueId, RedisSource
from bullmq_operator.settings import ArchiveGrant

SECRET = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "hidden"}


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        pytest.param("s3://bucket", ("s3", "bucket", ""), id="a bucket"),
        pytest.param("s3://bucket/a/b/", ("s3", "bucket", "a/b"), id="a path in it"),
        pytest.param("gs://bucket/a", ("gs", "bucket", "a"), id="Google"),
        pytest.param("abfs://box@account/a", ("abfs", "box@account", "a"), id="Azure"),
        pytest.param("https://host:8443/dav", ("https", "host:8443", "dav"), id="HTTP"),
        pytest.param("file:///archives", ("file", "", "archives"), id="a folder"),
    ],
)
def test_a_url_is_a_scheme_a_place_and_a_path(url: str, parts: tuple[str, str, str]) -> None:
    found = parse(url)
    assert (found.scheme, found.place, found.path) == parts


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("s3://user:hidden@bucket/a", id="with a password"),
        pytest.param("https://host/a?token=hidden", id="with a parameter"),
        pytest.param("https://user:hidden@host/a", id="with a login"),
        pytest.param("s3://bucket/a#hidden", id="with a fragment"),
        pytest.param("http://host/hidden", id="without TLS"),
        pytest.param("simplecache::s3://bucket/hidden", id="through another"),
        pytest.param("file://host/hidden", id="a folder of another machine"),
        pytest.param("file:///archives/../hidden", id="up and away"),
        pytest.param("/hidden", id="no scheme"),
        pytest.param("s3:///hidden", id="no bucket"),
    ],
)
def test_another_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ArchiveError) as error:
        parse(url)
    assert error.value.reason is ArchiveReason.INVALID_URL
    assert error.value.message.startswith("spec.retire.archive.url: must be s3://bucket/path")
    assert "hidden" not in error.value.message


GRANTS = (
    ArchiveGrant("shop", "s3://archives/shop/*"),
    ArchiveGrant("*", "gs://all/*"),
    ArchiveGrant("ops", "file:///archives/*"),
)


@pytest.mark.parametrize(
    ("url", "namespace"),
    [
        pytest.param("s3://archives/shop/v1", "shop", id="its own path"),
        pytest.param("gs://all/shop", "pay", id="everybody's"),
        pytest.param("file:///archives/x", "ops", id="a folder"),
    ],
)
def test_what_the_settings_grant_needs_no_secret(url: str, namespace: str) -> None:
    assert allowed(url, namespace, GRANTS, None).credentials is None


@pytest.mark.parametrize(
    ("url", "namespace"),
    [
        pytest.param("s3://archives/shop/v1", "pay", id="another namespace's"),
        pytest.param("s3://archives/shopping/x", "shop", id="another path"),
        pytest.param("file:///archives/x", "shop", id="another namespace's folder"),
    ],
)
def test_with_grants_all_else_is_refused_with_a_secret_too(url: str, namespace: str) -> None:
    with pytest.raises(ArchiveError, match="is not among the archives") as error:
        allowed(url, namespace, GRANTS, SECRET)
    assert error.value.reason is ArchiveReason.NOT_ALLOWED


def test_without_grants_a_namespace_uses_credentials_of_its_own() -> None:
    found = allowed("s3://bucket/a", "shop", (), SECRET)
    assert found.credentials == SECRET
    assert "hidden" not in repr(found)


@pytest.mark.parametrize(
    ("url", "secret", "says"),
    [
        pytest.param("s3://bucket/a", None, "needs credentials in a Secret", id="no Secret"),
        pytest.param("file:///archives", SECRET, "file:// is not allowed", id="a folder"),
    ],
)
def test_without_grants_the_operators_own_identity_is_nobodys(
    url: str, secret: dict[str, str] | None, says: str
) -> None:
    with pytest.raises(ArchiveError, match=says):
        allowed(url, "shop", (), secret)


def name(queue: str = "orders/v1", stamp: str | None = "1-0", **more: object) -> str:
    backend = Backend("shop", RedisSource(url="redis://example"))
    prefix = str(more.get("prefix", "bull"))
    return file_name(QueueId(backend, prefix, queue), "redis:6379/0", stamp, ArchivedJobs.ALL, 1)


def test_a_file_is_named_after_its_queue_and_its_stamp() -> None:
    folder, queue, file = name().split("/")
    assert (folder, queue.rpartition("-")[0], file) == ("shop", "orders-v1", "1-0.all.jsonl.gz")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(name("orders-v1"), id="a name that looks the same in a path"),
        pytest.param(name(prefix="other"), id="another prefix"),
        pytest.param(name(stamp="2-0"), id="another stamp"),
        pytest.param(name(stamp=None), id="no stamp"),
    ],
)
def test_what_is_another_archive_has_another_name(other: str) -> None:
    assert other != name()


@pytest.mark.parametrize("queue", ["../../etc", "a/../b", "\udcff", "*?[]", "é" * 300])
def test_a_queues_name_never_leaves_the_folder(queue: str) -> None:
    parts = name(queue).split("/")
    assert len(parts) == 3
    assert not {".", ".."} & set(parts)
    assert len(parts[1]) < 100


def test_a_full_disk_is_told_with_the_field() -> None:
    with pytest.raises(ArchiveError) as error, translated("FIELD", "folder /archives"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert error.value.reason is ArchiveReason.FULL
    assert error.value.message == "FIELD: folder /archives is full; make room."
