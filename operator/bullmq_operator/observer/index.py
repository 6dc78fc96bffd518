"""A reverse index: which members stand under a key."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
M = TypeVar("M", bound=Hashable)


class ReverseIndex(Generic[K, M]):
    """Members by key, and the keys of each member, so that a member can be moved or removed in
    the time its own keys take, whatever the size of the index."""

    def __init__(self) -> None:
        self._members: dict[K, set[M]] = {}
        self._keys: dict[M, frozenset[K]] = {}

    def put(self, member: M, keys: Iterable[K]) -> None:
        """Make `keys` the keys of `member`; an empty iterable removes it."""
        new = frozenset(keys)
        old = self._keys.get(member, frozenset())
        for key in old - new:
            self._drop(key, member)
        for key in new - old:
            self._members.setdefault(key, set()).add(member)
        if new:
            self._keys[member] = new
        else:
            self._keys.pop(member, None)

    def members(self, key: K) -> frozenset[M]:
        """All members under a key."""
        return frozenset(self._members.get(key, ()))

    def keys_of(self, member: M) -> frozenset[K]:
        """All keys a member stands under."""
        return self._keys.get(member, frozenset())

    def keys(self) -> list[K]:
        """All keys that have a member."""
        return list(self._members)

    def _drop(self, key: K, member: M) -> None:
        members = self._members[key]
        members.discard(member)
        if not members:
            del self._members[key]
