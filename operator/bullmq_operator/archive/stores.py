"""The places that hold archives: object stores and folders, behind one small surface.

A name appears only once its content is whole: object stores show an upload when it is complete, a
folder gets the file by a rename. `write` leaves nothing under the name when its body fails.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import obstore
from obstore import exceptions as vendor
from obstore.store import AzureStore, GCSStore, HTTPStore, S3Store

from bullmq_operator.archive.destination import Destination
from bullmq_operator.archive.errors import ArchiveError, ArchiveReason, translated
from bullmq_operator.archive.folder import Folder

PART_BYTES: Final = 8 * 1024 * 1024
"""Of an upload; S3 takes 10,000 parts, so an archive may have 80 GB."""
PARTS_AT_A_TIME: Final = 2
CHUNK_BYTES: Final = 1024 * 1024
"""Of a download."""
SINGLE_BYTES: Final = 64 * 1024 * 1024
"""Plain HTTP has no upload in parts: an archive there is sent at once, and may have so much."""

_CLIENT: Final = {"connect_timeout": "5s", "timeout": "120s"}
_RETRY: Final = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}

Write = Callable[[bytes], Awaitable[object]]


class Store(Protocol):
    """One folder, bucket or host. All raise ArchiveError."""

    async def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""

    def write(self, name: str, now: datetime) -> AbstractAsyncContextManager[Write]:
        """What is written inside is there, and durable, once the context ends without an error."""

    def read(self, name: str) -> AsyncGenerator[bytes]:
        """The content, piece by piece."""

    async def remove(self, name: str) -> None:
        """Without a word if it is not there."""


def open_store(destination: Destination) -> Store:
    """The store of a destination; nothing is sent yet. Raises ArchiveError."""
    if destination.scheme == "file":
        return Folder(f"/{destination.path}", destination.named_by)
    try:
        return _Objects(_client(destination), destination)
    except (vendor.BaseError, ValueError):  # their text may quote the credentials
        pass
    raise ArchiveError(
        ArchiveReason.CREDENTIALS,
        f"{destination.named_by}: {destination.url('')} can't be used with these credentials; "
        "compare them with docs/archive.md.",
    )


class _Objects:
    """An object store."""

    def __init__(self, client: Any, destination: Destination) -> None:
        self._client, self._destination = client, destination
        self._part = SINGLE_BYTES if destination.scheme == "https" else PART_BYTES

    async def exists(self, name: str) -> bool:
        with translated(self._destination.named_by, self._where):
            try:
                await obstore.head_async(self._client, self._key(name))
            except FileNotFoundError:
                return False
        return True

    @asynccontextmanager
    async def write(self, name: str, now: datetime) -> AsyncIterator[Write]:
        del now  # nothing is left behind but parts of uploads, which the store's own rules remove
        with translated(self._destination.named_by, self._where):
            async with obstore.open_writer_async(
                self._client,
                self._key(name),
                buffer_size=self._part,
                max_concurrency=PARTS_AT_A_TIME,
            ) as writer:
                yield writer.write

    async def read(self, name: str) -> AsyncGenerator[bytes]:
        with translated(self._destination.named_by, self._destination.url(name)):
            found = await obstore.get_async(self._client, self._key(name))
            async for chunk in found.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)

    async def remove(self, name: str) -> None:
        with translated(self._destination.named_by, self._where):
            try:
                await obstore.delete_async(self._client, self._key(name))
            except FileNotFoundError:
                return

    @property
    def _where(self) -> str:
        """A file that is missing while it is written means that the bucket is."""
        return self._destination.url("").removesuffix(f"/{self._destination.path}")

    def _key(self, name: str) -> str:
        return "/".join(part for part in (self._destination.path, name) if part)


def _client(destination: Destination) -> Any:
    secret = destination.credentials
    match destination.scheme:
        case "s3":
            return _s3(destination, secret)
        case "gs":
            return _gcs(destination, secret)
        case "abfs":
            return _azure(destination, secret)
        case _:
            return _http(destination, secret)


def _s3(destination: Destination, secret: Mapping[str, str] | None) -> S3Store:
    found = os.environ if secret is None else secret
    endpoint = found.get("AWS_ENDPOINT_URL")
    config: dict[str, Any] = {}
    if endpoint:
        config["endpoint"] = endpoint
    if region := found.get("AWS_REGION"):
        config["region"] = region
    if secret is not None:
        key, password = _needed(destination, secret, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        # By a provider: plain settings would be mixed with what the process's environment holds.
        config["credential_provider"] = lambda: {
            "access_key_id": key,
            "secret_access_key": password,
            "token": secret.get("AWS_SESSION_TOKEN"),
            "expires_at": None,
        }
    return S3Store(
        destination.place,
        client_options=_options(secret or {}, endpoint),
        retry_config=_RETRY,  # type: ignore[arg-type]
        **config,
    )


def _gcs(destination: Destination, secret: Mapping[str, str] | None) -> GCSStore:
    config: dict[str, Any] = {}
    if secret is not None:
        (key,) = _needed(destination, secret, "GOOGLE_SERVICE_ACCOUNT_KEY")
        config["service_account_key"] = key
    return GCSStore(
        destination.place,
        client_options=_options(secret or {}),
        retry_config=_RETRY,  # type: ignore[arg-type]
        **config,
    )


def _azure(destination: Destination, secret: Mapping[str, str] | None) -> AzureStore:
    container, _, host = destination.place.partition("@")
    config: dict[str, Any] = {}
    if host:
        config["account_name"] = host.partition(".")[0]
    if secret is not None:
        key = "AZURE_STORAGE_SAS_TOKEN"
        if key not in secret:
            key = "AZURE_STORAGE_ACCOUNT_KEY"
        (value,) = _needed(destination, secret, key)
        config["sas_key" if "SAS" in key else "account_key"] = value
        if not host:
            (config["account_name"],) = _needed(destination, secret, "AZURE_STORAGE_ACCOUNT_NAME")
    return AzureStore(
        container,
        client_options=_options(secret or {}),
        retry_config=_RETRY,  # type: ignore[arg-type]
        **config,
    )


def _http(destination: Destination, secret: Mapping[str, str] | None) -> HTTPStore:
    options = _options(secret or {})
    if secret is not None:
        (value,) = _needed(destination, secret, "AUTHORIZATION")
        options["default_headers"] = {"authorization": value}
    return HTTPStore.from_url(
        f"https://{destination.place}",
        client_options=options,
        retry_config=_RETRY,  # type: ignore[arg-type]
    )


def _options(secret: Mapping[str, str], endpoint: str | None = None) -> Any:
    """Without TLS only where the endpoint itself says so."""
    options: dict[str, Any] = {**_CLIENT, "allow_http": (endpoint or "").startswith("http://")}
    if authority := secret.get("CA_CERTIFICATE"):
        options["root_certificate"] = authority
    return options


def _needed(destination: Destination, secret: Mapping[str, str], *names: str) -> tuple[str, ...]:
    """Half a login would be completed with the operator's own. Raises ArchiveError."""
    missing = [name for name in names if not secret.get(name)]
    if missing:
        raise ArchiveError(
            ArchiveReason.CREDENTIALS,
            f"{destination.named_by}: the Secret with the credentials has no key "
            f"{' and no key '.join(missing)}.",
        )
    return tuple(secret[name].strip() for name in names)
