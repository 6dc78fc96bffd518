"""Archives on a web server that takes PUT: aiohttp's, with TLS of a private authority."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from bullmq_operator.archive.destination import Destination, parse
from bullmq_operator.archive.errors import ArchiveError, ArchiveReason
from bullmq_operator.archive.restoring import Target, restore
from bullmq_operator.archive.stores import SINGLE_BYTES, open_store
from devcluster.network import free_port
from devcluster.pki import Authority
from tests.integration.archive.support import NOW, Shelf

pytestmark = pytest.mark.redis
TOKEN = "Bearer hidden"


@dataclass(frozen=True)
class Site:
    """A server, and the Secret of one who may use it."""

    url: str
    secret: dict[str, str]

    def destination(self, **changes: str) -> Destination:
        return parse(self.url, credentials=self.secret | changes)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Keeps what is PUT in memory, for those who know the token."""
    authority, port = Authority(tmp_path / "pki"), free_port()
    pair = authority.server("localhost", addresses=["127.0.0.1"], dns=["localhost"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    application = web.Application(client_max_size=1 << 30)
    application.router.add_route("*", "/{path:.*}", _Files().answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    certificate = (tmp_path / "pki" / "ca.crt").read_text()
    secret = {"AUTHORIZATION": TOKEN, "CA_CERTIFICATE": certificate}
    yield Site(f"https://localhost:{port}/dav", secret)
    await runner.cleanup()


class _Files:
    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    async def answer(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != TOKEN:
            return web.Response(status=401)
        if request.method == "PUT":
            self._files[request.path] = await request.read()
            return web.Response(status=201)
        if request.path not in self._files:
            return web.Response(status=404)
        headers = {"Last-Modified": "Mon, 23 Nov 2026 12:00:00 GMT", "ETag": '"1"'}
        return web.Response(body=self._files[request.path], headers=headers)


async def test_an_archive_on_a_web_server_comes_back_as_it_was(shelf: Shelf, site: Site) -> None:
    shelf.shop.finish(3, failed=2)
    before = shelf.jobs_snapshot()
    outcome = await shelf.archive(destination=site.destination())
    assert outcome.url.startswith(f"{site.url}/shop/orders-v1-")
    again = await shelf.archive(destination=site.destination())
    assert (again.url, again.reused) == (outcome.url, True)
    shelf.forget()
    name = outcome.url.removeprefix(f"{site.url}/")
    await restore(shelf.connection, site.destination(), name, Target(shelf.base))
    assert shelf.jobs_snapshot() == before


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"AUTHORIZATION": "Bearer wrong"}, ArchiveReason.FORBIDDEN, id="wrong token"),
        pytest.param({"CA_CERTIFICATE": ""}, ArchiveReason.UNREACHABLE, id="unknown authority"),
        pytest.param({"CA_CERTIFICATE": "no PEM"}, ArchiveReason.CREDENTIALS, id="no certificate"),
        pytest.param({"AUTHORIZATION": ""}, ArchiveReason.CREDENTIALS, id="no token"),
    ],
)
async def test_a_mistake_is_told_without_the_token(
    shelf: Shelf, site: Site, changes: dict[str, str], reason: ArchiveReason
) -> None:
    shelf.shop.finish(1)
    with pytest.raises(ArchiveError) as error:
        await shelf.archive(destination=site.destination(**changes))
    assert error.value.reason is reason
    assert "hidden" not in error.value.message


async def test_more_than_a_web_server_takes_at_once_is_told(site: Site) -> None:
    store = open_store(site.destination())

    async def write() -> None:
        async with store.write("x.jsonl.gz", NOW) as into:
            await into(b"x" * (SINGLE_BYTES + 1))

    with pytest.raises(ArchiveError, match="can't take so large an archive"):
        await write()
