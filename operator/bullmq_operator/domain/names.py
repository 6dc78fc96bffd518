"""Names of the things the operator speaks of."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class VersionKey:
    """One QueueVersion object."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class WorkloadKey:
    """One Deployment or StatefulSet."""

    namespace: str
    kind: str
    name: str
    api_version: str = "apps/v1"

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, order=True)
class SecretKeyRef:
    """One key of a Secret (or, for a CA bundle, of a ConfigMap) in the object's namespace."""

    name: str
    key: str
    kind: str = "Secret"


@dataclass(frozen=True, slots=True)
class Sentinel:
    """How to find the master through Redis Sentinel."""

    master_name: str
    nodes: tuple[str, ...]
    database: int = 0
    password_from: SecretKeyRef | None = None


@dataclass(frozen=True, slots=True)
class RedisSource:
    """`spec.redis`. All fields at their defaults: the operator's default Redis."""

    url: str | None = None
    url_from: SecretKeyRef | None = None
    sentinel: Sentinel | None = None
    username_from: SecretKeyRef | None = None
    password_from: SecretKeyRef | None = None
    topology: str = "Standalone"
    tls: bool = False
    ca_from: SecretKeyRef | None = None

    @property
    def is_default(self) -> bool:
        """Whether no address is named, which means the operator's default Redis."""
        return self.url is None and self.url_from is None and self.sentinel is None


@dataclass(frozen=True, slots=True)
class Backend:
    """One Redis as one namespace names it: two namespaces may mean different Secrets."""

    namespace: str
    source: RedisSource
    _hash: int = field(init=False, repr=False, compare=False)
    """Kept: these are the keys of every cache, and ten thousand are looked up at each poll."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.namespace, self.source)))

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True, slots=True)
class QueueId:
    """One physical queue. BullMQ's keys are `<prefix>:<name>:<suffix>`."""

    backend: Backend
    prefix: str
    name: str
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.backend, self.prefix, self.name)))

    def __hash__(self) -> int:
        return self._hash

    @property
    def base(self) -> str:
        """The common head of the queue's keys, with its final colon."""
        return f"{self.prefix}:{self.name}:"


@dataclass(frozen=True, slots=True)
class FamilyKey:
    """The versions of one logical queue: same namespace, Redis, prefix and `spec.queue`."""

    backend: Backend
    prefix: str
    queue: str
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.backend, self.prefix, self.queue)))

    def __hash__(self) -> int:
        return self._hash

    @property
    def namespace(self) -> str:
        """The namespace all versions of the family are in."""
        return self.backend.namespace

    def __str__(self) -> str:
        return f"{self.namespace}/{self.queue}"


def queue_name(queue: str, version: str) -> str:
    """The physical queue of a version that names none: a leading `v` is not doubled."""
    return f"{queue}/v{version.removeprefix('v')}"
