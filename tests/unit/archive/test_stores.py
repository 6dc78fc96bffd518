"""Which Secrets a store takes; nothing is sent."""

from __future__ import annotations

import pytest

from bullmq_operator.archive.destination import parse
from bullmq_operator.archive.errors import ArchiveError, ArchiveReason
from bullmq_operator.archive.stores import open_store

KEY = "aGlkZGVu"


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        pytest.param(
            "s3://bucket",
            {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "hidden"},
            id="S3",
        ),
        pytest.param("abfs://box@shop/a", {"AZURE_STORAGE_ACCOUNT_KEY": KEY}, id="Azure, a key"),
        pytest.param(
            "abfs://box@shop.dfs.core.windows.net/a",
            {"AZURE_STORAGE_SAS_TOKEN": "sv=2020&sig=hidden"},
            id="Azure, a signature",
        ),
        pytest.param(
            "abfs://box/a",
            {"AZURE_STORAGE_ACCOUNT_KEY": KEY, "AZURE_STORAGE_ACCOUNT_NAME": "shop"},
            id="Azure, the account in the Secret",
        ),
        pytest.param("https://host/a", {"AUTHORIZATION": "Bearer hidden"}, id="HTTP"),
    ],
)
def test_a_complete_secret_opens_a_store(url: str, secret: dict[str, str]) -> None:
    assert open_store(parse(url, credentials=secret)) is not None


@pytest.mark.parametrize(
    ("url", "secret", "missing"),
    [
        pytest.param("s3://bucket", {}, "AWS_ACCESS_KEY_ID", id="S3, nothing"),
        pytest.param(
            "s3://bucket", {"AWS_ACCESS_KEY_ID": "hidden"}, "AWS_SECRET_ACCESS_KEY", id="S3, half"
        ),
        pytest.param("gs://bucket", {}, "GOOGLE_SERVICE_ACCOUNT_KEY", id="Google"),
        pytest.param("abfs://box@shop", {}, "AZURE_STORAGE_ACCOUNT_KEY", id="Azure"),
        pytest.param(
            "abfs://box",
            {"AZURE_STORAGE_ACCOUNT_KEY": KEY},
            "AZURE_STORAGE_ACCOUNT_NAME",
            id="Azure, no account",
        ),
        pytest.param("https://host", {"AUTHORIZATION": ""}, "AUTHORIZATION", id="HTTP, empty"),
    ],
)
def test_a_secret_is_never_completed_from_elsewhere(
    url: str, secret: dict[str, str], missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(missing, "the operator's own")
    with pytest.raises(ArchiveError, match=f"has no key {missing}") as error:
        open_store(parse(url, credentials=secret))
    assert error.value.reason is ArchiveReason.CREDENTIALS


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        pytest.param("gs://bucket", {"GOOGLE_SERVICE_ACCOUNT_KEY": "hidden"}, id="Google"),
        pytest.param("abfs://box@shop", {"AZURE_STORAGE_ACCOUNT_KEY": "hid den"}, id="Azure"),
        pytest.param(
            "https://host",
            {"AUTHORIZATION": "Bearer", "CA_CERTIFICATE": "hidden"},
            id="an authority that is none",
        ),
    ],
)
def test_what_is_no_credential_is_refused_and_not_repeated(
    url: str, secret: dict[str, str]
) -> None:
    with pytest.raises(ArchiveError) as error:
        open_store(parse(url, credentials=secret))
    assert error.value.reason is ArchiveReason.CREDENTIALS
    assert "hid" not in error.value.message
