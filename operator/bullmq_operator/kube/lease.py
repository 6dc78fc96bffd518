"""One of several replicas acts: the one that holds a Lease.

The vendor's leader election can't be used: it cannot create the Lease, goes on leading after a
connection error, and writes local time as UTC. Here, as in client-go:

- Whether another's Lease has run out is measured on our own monotonic clock from when we saw it
  change last, never by comparing its times with our wall clock.
- The holder stops by itself, `duration * 2/3` after the start of its last successful renewal:
  before anybody else may take over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bullmq_operator.kube.client import KubeClient
from bullmq_operator.kube.errors import ConflictError, KubeError, NotFoundError
from bullmq_operator.kube.session import FIELD_MANAGER, Json

_RETRY_SHARE = 2 / 15
"""Renewals and looks at another's Lease, as a share of the duration: 2 s of the default 15 s."""

_DEADLINE_SHARE = 2 / 3
"""The holder's own time limit: 10 s of 15 s. The rest is for a request that is under way."""


class Lease:
    """Our side of one Lease object."""

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        name: str,
        identity: str,
        duration: float = 15.0,
        *,
        now: Callable[[], datetime],
    ) -> None:
        """`identity` must differ between replicas; `duration` in seconds, whole ones; `now` is
        wall time and only written down for people."""
        self.lost = asyncio.Event()
        """Set once we held the Lease and no longer do; then nothing may be changed any more."""
        self.problem: str | None = None
        """Why the last attempt to acquire failed; None when the API server answered."""
        self._client = client
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = name
        self._identity = identity
        self._duration = duration
        self._now = now
        self._held: Json | None = None
        self._valid_until = 0.0
        self._seen: tuple[Any, ...] | None = None
        self._seen_at = 0.0

    @property
    def is_held(self) -> bool:
        """Whether we may act now: to be asked again right before anything is destroyed."""
        return (
            self._held is not None and not self.lost.is_set() and _monotonic() < self._valid_until
        )

    @property
    def other_holder(self) -> str | None:
        """Who else held the Lease when we looked last: the one we stand by for."""
        holder = self._seen[0] if self._seen is not None else None
        return holder if holder not in (None, "", self._identity) else None

    async def acquire(self) -> None:
        """Wait until the Lease is ours. Failures of the API server are waited out."""
        while True:
            if await self._try_acquire():
                return
            await asyncio.sleep(self._duration * _RETRY_SHARE)

    async def hold(self) -> None:
        """Renew the Lease until it is lost; sets `lost`, and returns.

        A failed renewal is tried again until the deadline; a Lease that another holds is lost at
        once.
        """
        try:
            while True:
                await asyncio.sleep(self._duration * _RETRY_SHARE)
                async with asyncio.timeout_at(self._valid_until):
                    if not await self._renew():
                        return
        except TimeoutError:
            return
        finally:
            self.lost.set()

    async def release(self) -> None:
        """Let the next replica take over without waiting; failures are left to the clock."""
        was_held, self._held, self._valid_until = self._held is not None, None, 0.0
        if not was_held:
            return
        try:
            # Read anew: a renewal that was cancelled may have been written all the same.
            lease = await self._get()
            if lease is None or _holder(lease) != self._identity:
                return
            spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
            await self._put({**lease, "spec": spec})
        except KubeError:
            return  # it runs out by itself

    async def _try_acquire(self) -> bool:
        """One look at the Lease, and one write if it is free."""
        started = _monotonic()
        try:
            lease = await self._get()
            self.problem = None
            if lease is None:
                written = await self._post()
            elif self._is_free(lease):
                written = await self._put(self._claim(lease))
            else:
                return False
        except ConflictError:
            return False  # a lost race
        except KubeError as failure:
            self.problem = str(failure)
            return False
        self._note(written, started)
        return True

    async def _renew(self) -> bool:
        """Retry until it is renewed (True) or another's (False); the caller sets the limit."""
        while True:
            started = _monotonic()
            try:
                lease = self._held or await self._get()
                if lease is None or _holder(lease) != self._identity:
                    return False
                self._note(await self._put(self._claim(lease)), started)
            except ConflictError:
                self._held = None  # changed by somebody: look who holds it
            except NotFoundError:
                return False
            except KubeError:
                await asyncio.sleep(self._duration * _RETRY_SHARE)
            else:
                return True

    def _note(self, written: Json, started: float) -> None:
        self._held = written
        self._valid_until = started + self._duration * _DEADLINE_SHARE

    def _is_free(self, lease: Json) -> bool:
        """Nobody's, ours from before a restart of this process, or unchanged for its duration."""
        spec = lease.get("spec") or {}
        record = spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions")
        if record != self._seen:
            self._seen, self._seen_at = record, _monotonic()
        if record[0] in (None, "", self._identity):
            return True
        duration = spec.get("leaseDurationSeconds") or self._duration
        return _monotonic() > self._seen_at + duration

    def _claim(self, lease: Json) -> Json:
        """The Lease as ours; its resourceVersion makes a write fail if it has changed."""
        spec = lease.get("spec") or {}
        moment = self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # a MicroTime
        is_ours = spec.get("holderIdentity") == self._identity
        transitions = spec.get("leaseTransitions") or 0
        claimed = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._duration)),
            "renewTime": moment,
            "acquireTime": spec.get("acquireTime", moment) if is_ours else moment,
            "leaseTransitions": transitions if is_ours else transitions + 1,
        }
        return {**lease, "spec": claimed}

    async def _get(self) -> Json | None:
        try:
            return await self._client.session.request("GET", f"{self._collection}/{self._name}")
        except NotFoundError:
            return None

    async def _post(self) -> Json:
        blank = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name},
        }
        query = {"fieldManager": FIELD_MANAGER}
        return await self._client.session.request(
            "POST", self._collection, query=query, body=self._claim(blank)
        )

    async def _put(self, lease: Json) -> Json:
        return await self._client.session.request(
            "PUT",
            f"{self._collection}/{self._name}",
            query={"fieldManager": FIELD_MANAGER},
            body=lease,
        )


def _holder(lease: Json) -> str | None:
    return (lease.get("spec") or {}).get("holderIdentity")


def _monotonic() -> float:
    return asyncio.get_running_loop().time()
