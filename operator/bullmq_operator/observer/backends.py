"""From what a QueueVersion says of its Redis to a connection, or why there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field

from bullmq_operator.domain.counts import Unknown, UnknownReason
from bullmq_operator.domain.names import Backend, QueueId, RedisSource, SecretKeyRef
from bullmq_operator.kube.errors import (
    ForbiddenError,
    KubeError,
    SecretKeyNotFoundError,
    SecretNotFoundError,
)
from bullmq_operator.observer.ports import Clock, Secrets
from bullmq_operator.queues.connection import ConnectionSettings, RedisConnection, connect
from bullmq_operator.queues.errors import QueueReadError

RESOLVE_AGAIN_S = 300.0
"""A Secret is read again so often while all is well: there is no watch on Secrets on purpose
(it would need the right to list them all)."""
RETRY_S = 5.0
"""And so often while it is missing, or Redis refuses what it says."""


@dataclass(frozen=True, slots=True)
class DefaultRedis:
    """The operator's own Redis, and who may use it."""

    url: str | None = field(default=None, repr=False)
    """Goes before `secret`."""
    secret: tuple[str, SecretKeyRef] | None = None
    """(namespace, key) of the Secret with the URL. Read like any other, so that it may come later
    than the operator, and change: a variable of the Pod is there at its start or never."""
    may_use: Callable[[str, str], bool] = lambda _namespace, _queue: True
    """(namespace, physical queue name) -> allowed; the setting REDIS_NAMESPACES."""


@dataclass(slots=True)
class _Resolved:
    settings: ConnectionSettings | Unknown
    at: float
    suspect: bool = False


class Backends:
    """Connections by what they connect to: namespaces that mean the same Redis share one."""

    def __init__(self, secrets: Secrets, default: DefaultRedis, clock: Clock) -> None:
        self._secrets = secrets
        self._default = default
        self._clock = clock
        self._resolved: dict[Backend, _Resolved] = {}
        self._locks: dict[Backend, asyncio.Lock] = {}
        self._connections: dict[ConnectionSettings, RedisConnection] = {}

    async def connection(self, queue: QueueId, *, fresh: bool = False) -> RedisConnection | Unknown:
        """The Redis of a queue. `fresh`: resolve it anew, as before anything is destroyed."""
        return self.refusal(queue) or await self.behind(queue.backend, fresh=fresh)

    async def behind(self, backend: Backend, *, fresh: bool = False) -> RedisConnection | Unknown:
        """A backend's Redis, for queues that are not refused."""
        backend = self._actual(backend)
        async with self._locks.setdefault(backend, asyncio.Lock()):
            resolved = self._resolved.get(backend)
            if resolved is None or fresh or self._is_due(backend, resolved):
                resolved, failure = await self._resolve_again(backend)
                if fresh and failure is not None:
                    return failure
        if isinstance(resolved.settings, Unknown):
            return resolved.settings
        connection = self._connect(resolved.settings)
        if isinstance(connection, Unknown):
            resolved.suspect = True  # no address in it: the Secret has to be edited
        return connection

    def suspect(self, backend: Backend) -> None:
        """Redis could not be read: a Secret may have changed since it was resolved."""
        resolved = self._resolved.get(self._actual(backend))
        if resolved is not None:
            resolved.suspect = True

    async def keep_only(self, backends: Collection[Backend]) -> None:
        """Forget backends that no version names any more."""
        for backend in self._resolved.keys() - {self._actual(backend) for backend in backends}:
            del self._resolved[backend]
            self._locks.pop(backend, None)
        await self._close_unused()

    async def close(self) -> None:
        """Drop all connections."""
        self._resolved.clear()
        await self._close_unused()

    def refusal(self, queue: QueueId) -> Unknown | None:
        """Why a queue may not be looked at, where it names no Redis of its own."""
        if not queue.backend.source.is_default:
            return None
        if self._default.url is None and self._default.secret is None:
            return _not_configured("set BULLMQ_OPERATOR_REDIS_URL where the operator is installed")
        if not self._default.may_use(queue.backend.namespace, queue.name):
            return Unknown(
                UnknownReason.NOT_ALLOWED,
                f'namespace "{queue.backend.namespace}" may not use queue "{queue.name}" on the '
                "operator's default Redis: name one in spec.redis, or have it allowed by "
                "BULLMQ_OPERATOR_REDIS_NAMESPACES.",
            )
        return None

    def _actual(self, backend: Backend) -> Backend:
        """The default Redis is one backend, whoever uses it as it is: its Secret is read once."""
        if backend.source != RedisSource() or self._default.secret is None or self._default.url:
            return backend
        namespace, ref = self._default.secret
        return Backend(namespace, RedisSource(url_from=ref))

    def _is_due(self, backend: Backend, resolved: _Resolved) -> bool:
        if not _references(backend.source) and not self._needs_default_secret(backend.source):
            return False
        doubtful = resolved.suspect or isinstance(resolved.settings, Unknown)
        return self._clock.monotonic() - resolved.at >= (RETRY_S if doubtful else RESOLVE_AGAIN_S)

    async def _resolve_again(self, backend: Backend) -> tuple[_Resolved, Unknown | None]:
        """What counts now, and why it could not be asked for: an API server that did not answer
        says nothing against what it said before."""
        settings, before = await self._resolve(backend), self._resolved.get(backend)
        failure = settings if isinstance(settings, Unknown) else None
        if failure is not None and failure.reason is UnknownReason.NOT_READ_YET and before:
            before.at, before.suspect = self._clock.monotonic(), True
            return before, failure
        resolved = _Resolved(settings, self._clock.monotonic())
        self._resolved[backend] = resolved
        if before is not None and before.settings != settings:
            await self._close_unused()
        return resolved, failure

    def _needs_default_secret(self, source: RedisSource) -> bool:
        return source.is_default and self._default.url is None and self._default.secret is not None

    async def _resolve(self, backend: Backend) -> ConnectionSettings | Unknown:
        source, sentinel = backend.source, backend.source.sentinel
        values: dict[SecretKeyRef, str] = {}
        for ref in _references(source):
            try:
                values[ref] = await self._secrets.read_secret_key(backend.namespace, ref)
            except KubeError as failure:
                if (backend.namespace, ref) == self._default.secret:
                    return _no_default(failure, backend.namespace, ref)
                return _unresolved(failure, ref)
        url = values[source.url_from] if source.url_from is not None else source.url
        if source.is_default:
            url = self._default.url
        if self._needs_default_secret(source) and self._default.secret is not None:
            namespace, ref = self._default.secret
            try:
                url = await self._secrets.read_secret_key(namespace, ref)
            except KubeError as failure:
                return _no_default(failure, namespace, ref)
        return ConnectionSettings(
            url=url,
            sentinel_master=sentinel.master_name if sentinel else None,
            sentinel_nodes=sentinel.nodes if sentinel else (),
            sentinel_password=_value(values, sentinel.password_from if sentinel else None),
            database=sentinel.database if sentinel else 0,
            username=_value(values, source.username_from),
            password=_value(values, source.password_from),
            tls=source.tls,
            ca=_value(values, source.ca_from),
            topology=source.topology,
        )

    def _connect(self, settings: ConnectionSettings) -> RedisConnection | Unknown:
        connection = self._connections.get(settings)
        if connection is None:
            try:
                connection = connect(settings)
            except QueueReadError as failure:
                return Unknown(failure.reason, failure.message)
            self._connections[settings] = connection
        return connection

    async def _close_unused(self) -> None:
        used = {resolved.settings for resolved in self._resolved.values()}
        for settings in self._connections.keys() - used:
            connection = self._connections.pop(settings)
            with suppress(QueueReadError):
                await connection.close()


def _references(source: RedisSource) -> tuple[SecretKeyRef, ...]:
    sentinel_password = source.sentinel.password_from if source.sentinel else None
    refs = (
        source.url_from,
        source.username_from,
        source.password_from,
        source.ca_from,
        sentinel_password,
    )
    return tuple(ref for ref in refs if ref is not None)


def _value(values: dict[SecretKeyRef, str], ref: SecretKeyRef | None) -> str | None:
    return values[ref] if ref is not None else None


def _not_configured(remedy: str) -> Unknown:
    return Unknown(
        UnknownReason.NOT_CONFIGURED,
        "spec.redis names no Redis and the operator has no default one: set spec.redis.url, or "
        f"{remedy}.",
    )


def _no_default(failure: KubeError, namespace: str, ref: SecretKeyRef) -> Unknown:
    where = f'Secret "{ref.name}" in namespace "{namespace}"'
    match failure:
        case SecretNotFoundError():
            return _not_configured(f'create {where} with the key "{ref.key}"')
        case SecretKeyNotFoundError():
            return _not_configured(f'give {where} the key "{ref.key}"')
        case ForbiddenError():
            return _not_configured(f"install the Role that lets the operator get {where}")
        case _:
            return Unknown(UnknownReason.NOT_READ_YET, f"{where} could not be read yet: {failure}")


def _unresolved(failure: KubeError, ref: SecretKeyRef) -> Unknown:
    match failure:
        case SecretKeyNotFoundError():
            return Unknown(
                UnknownReason.SECRET_KEY_MISSING,
                f"{failure}: correct the {ref.kind}, or the key that spec.redis names.",
            )
        case SecretNotFoundError():
            return Unknown(
                UnknownReason.SECRET_MISSING, f"{failure}: create it, or correct spec.redis."
            )
        case ForbiddenError():
            return Unknown(
                UnknownReason.SECRET_MISSING,
                f'the operator may not read {ref.kind} "{ref.name}": install the Role that lets '
                "it get Secrets, or use the operator's default Redis.",
            )
        case _:
            return Unknown(
                UnknownReason.NOT_READ_YET,
                f'{ref.kind} "{ref.name}" could not be read yet: {failure}',
            )
