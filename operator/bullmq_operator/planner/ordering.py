"""Which version of a family is higher: by `order`, else by semantic version, else unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bullmq_operator.domain.names import VersionKey
from bullmq_operator.domain.observation import QueueVersion
from bullmq_operator.domain.semver import parse


@dataclass(frozen=True, slots=True)
class Ordering:
    """Ranks, higher is newer; None when the family can't be ordered."""

    ranks: dict[VersionKey, int] | None
    in_doubt: frozenset[VersionKey] = frozenset()
    """The versions an edit has to touch."""
    why: str = ""


def order(versions: Sequence[QueueVersion]) -> Ordering:
    """Order a family as a whole. Creation time plays no part: a rebuilt cluster applies everything
    in one second."""
    if len(versions) == 1:
        return Ordering({versions[0].key: 0})
    with_order = [v for v in versions if v.spec.order is not None]
    if with_order and len(with_order) < len(versions):
        lacking = frozenset(v.key for v in versions if v.spec.order is None)
        return Ordering(None, lacking, "other versions of the family set spec.order, this one not")
    if with_order:
        return _ranked({v.key: v.spec.order for v in versions}, "spec.order")
    orders = {v.key: parse(v.spec.version) for v in versions}
    odd = frozenset(key for key, value in orders.items() if value is None)
    if odd:
        return Ordering(None, odd, "spec.version is not a semantic version, so it has no order")
    return _ranked(orders, "spec.version")


def _ranked(values: Mapping[VersionKey, Any], field: str) -> Ordering:
    distinct = sorted(set(values.values()))
    tied = frozenset(key for key, value in values.items() if list(values.values()).count(value) > 1)
    if tied:
        return Ordering(None, tied, f"another version of the family has the same {field}")
    return Ordering({key: distinct.index(value) for key, value in values.items()})
