"""What the watches told, in the slim records the planner needs, with the reverse indexes.

Every method that changes something returns the families whose plan may now differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bullmq_operator.domain.names import Backend, FamilyKey, QueueId, VersionKey, WorkloadKey
from bullmq_operator.domain.observation import QueueVersion, Workload
from bullmq_operator.domain.status import Phase, Status
from bullmq_operator.observer.index import ReverseIndex

Touched = frozenset[FamilyKey]
NOTHING: Touched = frozenset()
_NOT_SEEN = object()

VersionsOn = tuple[tuple[QueueVersion, QueueId], ...]

# A physical queue: where it is (the Backend as named, or a server's identity), prefix, name.
_Place = tuple[Backend | str, str, str]

_LET_GO = frozenset({Phase.STOPPED, Phase.RETIRING, Phase.RETIRED})


class Cache:
    """QueueVersions, workloads, autoscalers with minimum 0, suspended namespaces."""

    def __init__(self) -> None:
        self._versions: dict[VersionKey, QueueVersion] = {}
        self._queues: dict[VersionKey, QueueId] = {}
        self._workloads: dict[WorkloadKey, Workload] = {}
        self._may_rest_at_zero: frozenset[WorkloadKey] = frozenset()
        self._suspended: set[str] = set()
        self._identities: dict[Backend, frozenset[str]] = {}
        self._policies: dict[Backend, str | None] = {}
        self._on: dict[Backend, VersionsOn] = {}
        self._families: ReverseIndex[FamilyKey, VersionKey] = ReverseIndex()
        self._users: ReverseIndex[WorkloadKey, VersionKey] = ReverseIndex()
        self._places: ReverseIndex[_Place, VersionKey] = ReverseIndex()
        self._backends: ReverseIndex[Backend, VersionKey] = ReverseIndex()
        self._namespaces: ReverseIndex[str, VersionKey] = ReverseIndex()

    # --- reading

    def version(self, key: VersionKey) -> QueueVersion | None:
        """One version, None when there is no such object."""
        return self._versions.get(key)

    def versions(self) -> Iterator[QueueVersion]:
        """All versions."""
        return iter(list(self._versions.values()))

    def versions_of(self, family: FamilyKey) -> tuple[QueueVersion, ...]:
        """A family's versions, sorted by key."""
        return tuple(self._versions[key] for key in sorted(self._families.members(family)))

    def versions_on(self, backend: Backend) -> VersionsOn:
        """All versions whose queue is behind a backend, each with its queue. The same tuple until
        one of them changes, and the same queues always: the poll asks at every beat."""
        known = self._on.get(backend)
        if known is None:
            members = self._backends.members(backend)
            known = tuple((self._versions[key], self._queues[key]) for key in members)
            self._on[backend] = known
        return known

    def families(self) -> list[FamilyKey]:
        """All families that have a version."""
        return self._families.keys()

    def backends(self) -> list[Backend]:
        """All backends that a version names."""
        return self._backends.keys()

    def workload(self, key: WorkloadKey) -> Workload | None:
        """One workload, None when there is no such object."""
        return self._workloads.get(key)

    def workloads(self) -> Iterator[Workload]:
        """All workloads the cache holds."""
        return iter(list(self._workloads.values()))

    def is_used(self, key: WorkloadKey) -> bool:
        """Whether any version names this workload."""
        return bool(self._users.members(key))

    def may_rest_at_zero(self, key: WorkloadKey) -> bool:
        """Whether an autoscaler with minimum 0 keeps this workload."""
        return key in self._may_rest_at_zero

    def is_suspended(self, namespace: str) -> bool:
        """Whether the namespace is frozen by its annotation."""
        return namespace in self._suspended

    def needed_by(self, workload: WorkloadKey, family: FamilyKey) -> tuple[VersionKey, ...]:
        """Versions outside the family that name the workload and have not let go of it."""
        users = (self._versions[key] for key in self._users.members(workload))
        return tuple(
            sorted(
                user.key
                for user in users
                if user.family != family and not user.deleting and not _has_let_go(user.status)
            )
        )

    def claimants(self, version: QueueVersion) -> tuple[VersionKey, ...]:
        """Other versions that name the same physical queue, sorted."""
        return tuple(sorted(self._neighbours(version)))

    def came_first(self, version: QueueVersion) -> bool:
        """Whether no other claimant of the queue was seen there before."""
        mine = _precedence(version)
        return all(mine < _precedence(self._versions[key]) for key in self._neighbours(version))

    # --- writing

    def upsert_version(self, version: QueueVersion) -> Touched:
        """A version as a watch, a list or an answer to our own write has it. Older ones than the
        cache's are ignored: the answer to a write overtakes the watch."""
        old = self._versions.get(version.key)
        if old == version or _is_older(old, version):
            return NOTHING
        before = self._affected(old) if old is not None else NOTHING
        if old is not None:
            self._on.pop(old.queue.backend, None)
        self._versions[version.key] = version
        self._index(version)
        return before | self._affected(version)

    def remove_version(self, key: VersionKey) -> Touched:
        """The version is gone."""
        version = self._versions.get(key)
        if version is None:
            return NOTHING
        affected = self._affected(version)
        self._on.pop(version.queue.backend, None)
        del self._versions[key], self._queues[key]
        for index in (self._families, self._users, self._places, self._backends, self._namespaces):
            index.put(key, ())
        if not self._backends.members(version.queue.backend):
            self._identities.pop(version.queue.backend, None)
            self._policies.pop(version.queue.backend, None)
        return affected

    def upsert_workload(self, workload: Workload) -> Touched:
        """A workload as a watch, a list or the answer to our own scaling has it."""
        old = self._workloads.get(workload.key)
        if old == workload or _is_older(old, workload):
            return NOTHING
        self._workloads[workload.key] = workload
        if old is not None and _same_but_for_version(old, workload):
            return NOTHING
        return self._families_of(self._users.members(workload.key))

    def remove_workload(self, key: WorkloadKey) -> Touched:
        """The workload is gone."""
        if self._workloads.pop(key, None) is None:
            return NOTHING
        return self._families_of(self._users.members(key))

    def set_resting_at_zero(self, keys: Iterable[WorkloadKey]) -> Touched:
        """All workloads that an autoscaler with minimum 0 keeps."""
        new = frozenset(keys)
        changed = new ^ self._may_rest_at_zero
        self._may_rest_at_zero = new
        users = (self._users.members(key) for key in changed)
        return self._families_of(frozenset().union(*users))

    def set_suspended(self, namespace: str, suspended: bool) -> Touched:
        """Freeze or release a namespace."""
        if suspended is (namespace in self._suspended):
            return NOTHING
        if suspended:
            self._suspended.add(namespace)
        else:
            self._suspended.discard(namespace)
        return self._families_of(self._namespaces.members(namespace))

    def set_identities(self, backend: Backend, identities: frozenset[str]) -> Touched:
        """By what a backend's server is known (`host:port/db`, run id and db), once connected.

        Two URLs may name one server, and one URL two servers over time; a queue's claimants are
        found by any identity they share.
        """
        if self._identities.get(backend, frozenset()) == identities:
            return NOTHING
        members = self._backends.members(backend)
        if not members:
            return NOTHING
        touched = self._affected_places(members)
        self._identities[backend] = identities
        for key in members:
            self._places.put(key, self._places_of(self._versions[key]))
        return touched | self._affected_places(members)

    def set_policy(self, backend: Backend, policy: str | None) -> Touched:
        """The `maxmemory-policy` of a backend's server: somebody may set it while it runs."""
        members = self._backends.members(backend)
        if not members or self._policies.get(backend, _NOT_SEEN) == policy:
            return NOTHING
        is_news = backend in self._policies  # whoever makes a version known has it looked at
        self._policies[backend] = policy
        return self._families_of(members) if is_news else NOTHING

    # --- within

    def _index(self, version: QueueVersion) -> None:
        key = version.key
        self._on.pop(version.queue.backend, None)
        if self._queues.get(key) != version.queue:
            self._queues[key] = version.queue
        self._families.put(key, (version.family,))
        self._users.put(key, (version.workload(ref) for ref in version.spec.workers))
        self._backends.put(key, (version.queue.backend,))
        self._namespaces.put(key, (key.namespace,))
        self._places.put(key, self._places_of(version))

    def _places_of(self, version: QueueVersion) -> tuple[_Place, ...]:
        queue = version.queue
        servers = self._identities.get(queue.backend, frozenset())
        wheres: list[Backend | str] = [queue.backend, *servers]
        return tuple((where, queue.prefix, queue.name) for where in wheres)

    def _neighbours(self, version: QueueVersion) -> frozenset[VersionKey]:
        places = self._places.keys_of(version.key) or self._places_of(version)
        members = (self._places.members(place) for place in places)
        return frozenset[VersionKey]().union(*members) - {version.key}

    def _affected(self, version: QueueVersion) -> Touched:
        """The families one version's change can matter to."""
        keys = self._neighbours(version)
        for ref in version.spec.workers:
            keys |= self._users.members(version.workload(ref))
        return self._families_of(keys) | {version.family}

    def _affected_places(self, members: frozenset[VersionKey]) -> Touched:
        shared = (key for key in members if self._neighbours(self._versions[key]))
        keys: frozenset[VersionKey] = frozenset(shared)
        for key in keys:
            keys |= self._neighbours(self._versions[key])
        return self._families_of(keys)

    def _families_of(self, keys: Iterable[VersionKey]) -> Touched:
        return frozenset(self._versions[key].family for key in keys)


def _has_let_go(status: Status) -> bool:
    """Also while it is Held on its way from the proof to the end."""
    return status.phase in _LET_GO or status.drained_at is not None


def _precedence(version: QueueVersion) -> tuple[bool, float, VersionKey]:
    """First seen, first served; one that was never seen comes last."""
    seen = version.status.queue_first_seen_at
    return seen is None, seen.timestamp() if seen is not None else 0.0, version.key


def _is_older(old: QueueVersion | Workload | None, new: QueueVersion | Workload) -> bool:
    """Whether `new` is an earlier state of the same object than `old`.

    Resource versions of one object are ordered numbers (documented for Kubernetes since 1.35,
    true of etcd before); anything else is taken as new.
    """
    if old is None or old.uid != new.uid:
        return False
    if not (old.resource_version.isdecimal() and new.resource_version.isdecimal()):
        return False
    return int(new.resource_version) < int(old.resource_version)


def _same_but_for_version(old: Workload, new: Workload) -> bool:
    return (
        old.uid == new.uid
        and old.replicas == new.replicas
        and old.ready_replicas == new.ready_replicas
        and old.observed == new.observed
        and old.selector == new.selector
        and old.replicas_manager == new.replicas_manager
    )
