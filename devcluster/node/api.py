"""The node's Kubernetes client: calls that are retried until the server answers, and watches."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any

import aiohttp

Json = dict[str, Any]
MERGE_PATCH = "application/merge-patch+json"
RETRY_SECONDS = 0.3
CALL_SECONDS = 10.0
WATCH_IDLE_SECONDS = 120.0
"""Longer than the server's bookmark interval (about 60 s): a silent watch this old is dead."""

LINE_BYTES = 2**22
log = logging.getLogger("devcluster.node.api")


class RefusedError(Exception):
    """The server understood and said no (4xx); `status` is its code."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """Calls as the node's user. Must be closed."""

    def __init__(self, server: str, ca: Path, token: str) -> None:
        self.server, self.ca = server, ca
        context = ssl.create_default_context(cafile=str(ca))
        self._http = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {token}"},
            connector=aiohttp.TCPConnector(ssl=context, limit=64),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def call(
        self,
        verb: str,
        path: str,
        body: Json | None = None,
        *,
        content_type: str = "application/json",
        absent: Collection[int] = (),
    ) -> Json | None:
        """One request, retried while the server is away or too busy.

        None for a code in `absent`; RefusedError for any other 4xx.
        """
        while True:
            try:
                return await self._once(verb, path, body, content_type, absent)
            except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                log.info("%s %s: %r; trying again", verb, path, error)
                await asyncio.sleep(RETRY_SECONDS)

    async def get(self, path: str) -> Json | None:
        """An object, or None when there is none."""
        return await self.call("GET", path, absent=(404,))

    async def merge_patch(self, path: str, patch: Json) -> Json | None:
        """A merge patch; None when the object is gone, or is another one by now."""
        return await self.call("PATCH", path, patch, content_type=MERGE_PATCH, absent=(404, 409))

    async def _once(
        self, verb: str, path: str, body: Json | None, content_type: str, absent: Collection[int]
    ) -> Json | None:
        async with self._http.request(
            verb,
            self.server + path,
            data=None if body is None else json.dumps(body),
            headers={"Content-Type": content_type},
            timeout=aiohttp.ClientTimeout(total=CALL_SECONDS),
        ) as response:
            if response.status in absent:
                return None
            if response.status == 429 or response.status >= 500:
                raise aiohttp.ClientError(f"{response.status} {(await response.text())[:200]}")
            if response.status >= 400:
                raise RefusedError(response.status, (await response.text())[:500])
            answer: Json = await response.json()
            return answer

    async def follow(self, path: str) -> AsyncIterator[tuple[str, list[Json]]]:
        """`("SYNC", all objects)` after each list, then `(watch event type, [object])`.

        Lists again after any trouble, so a missed deletion shows as an absence from SYNC.
        """
        while True:
            listed = await self.call("GET", path)
            assert listed is not None
            yield "SYNC", listed["items"]
            version = listed["metadata"]["resourceVersion"]
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, ConnectionError):
                async for event in self._watch(path, version):
                    yield event["type"], [event["object"]]
            await asyncio.sleep(RETRY_SECONDS)

    async def _watch(self, path: str, version: str) -> AsyncIterator[Json]:
        query = f"?watch=1&allowWatchBookmarks=true&resourceVersion={version}"
        timeout = aiohttp.ClientTimeout(total=None, sock_read=WATCH_IDLE_SECONDS)
        async with self._http.get(
            self.server + path + query, timeout=timeout, read_bufsize=LINE_BYTES
        ) as response:
            response.raise_for_status()
            async for line in response.content:
                event: Json = json.loads(line)
                if event["type"] == "ERROR":
                    return
                if event["type"] != "BOOKMARK":
                    yield event
