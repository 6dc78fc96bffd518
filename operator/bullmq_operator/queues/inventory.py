"""A read-only walk over every key of a queue: what each is, and what stands against deletion.

Redis walks, and leaves out what is ordinary: finished jobs and their parts. The rest is classified
here, once it is known which other queues' keys share our base. Memory grows with that rest, not
with the number of finished jobs. The stamp is read before the walk: whatever happens during it
moves it, and then the guard refuses.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from bullmq_operator.domain.counts import Inventory, QueueCounts, UnknownReason
from bullmq_operator.domain.names import QueueId
from bullmq_operator.queues import keys, scripts
from bullmq_operator.queues.cluster import owner_of
from bullmq_operator.queues.connection import RedisConnection
from bullmq_operator.queues.counts import read_queue
from bullmq_operator.queues.errors import QueueReadError, translated

LIST_CHUNK: Final = 1000
LOOK_BATCH: Final = 200

_WALK: Final = scripts.load("walk")
_LOOK: Final = scripts.load("look")
_LISTS: Final = ("wait", "active", "paused")


@dataclass(frozen=True, slots=True)
class _Look:
    """lua/look.lua's answer for one key."""

    kind: str
    index: str
    is_job: bool
    is_finished: bool
    parent: str
    fields: frozenset[str]


@dataclass(slots=True)
class _Findings:
    """Filled during the walk. SCAN may show a key twice, hence sets."""

    orphans: set[str] = field(default_factory=set)
    deduplicated: set[str] = field(default_factory=set)
    parents: set[tuple[str, str]] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    residue: set[str] = field(default_factory=set)


async def take_inventory(connection: RedisConnection, queue: QueueId) -> Inventory:
    """Walk the whole key space; about 1 s per million keys in it. Raises QueueReadError."""
    base = queue.base
    reading = await read_queue(connection, base)
    node = owner_of(connection.client, base) if connection.is_cluster else ""
    rests, foreign = await _remarkable(connection, base)
    listed = await _listed(connection, base, reading.counts)
    walk = _Walk(connection, base, tuple(foreign), listed, bool(reading.counts.schedulers))
    for start in range(0, len(rests), LOOK_BATCH):
        await walk.classify(rests[start : start + LOOK_BATCH])
    await walk.confirm_orphans()
    if connection.is_cluster:
        await _confirm_node(connection, base, node)
    found = walk.found
    return Inventory(
        stamp=reading.stamp,
        finished_jobs=reading.counts.completed + reading.counts.failed,
        orphans=tuple(sorted(found.orphans)),
        pending_deduplicated=tuple(sorted(found.deduplicated)),
        parents_elsewhere=tuple(sorted(found.parents)),
        unknown_keys=tuple(sorted(found.unknown)),
        foreign_queues=tuple(sorted(name.rstrip(":") for name in foreign)),
        residue=tuple(sorted(found.residue)),
        settings=await read_settings(connection, base),
    )


async def _confirm_node(connection: RedisConnection, base: str, node: str) -> None:
    """A walk that follows its slot to another node of a Cluster misses keys. Raises QueueReadError:
    reading fails while the slot is on its way, and afterwards finds the queue where it has gone.
    """
    await read_queue(connection, base)
    if owner_of(connection.client, base) != node:
        raise QueueReadError(
            UnknownReason.UNREACHABLE,
            f"Redis {connection.address} moved queue {base.rstrip(':')} to another node while it "
            "was looked through; it is looked through again.",
        )


class _Walk:
    """What each of the remarkable keys is."""

    def __init__(
        self,
        connection: RedisConnection,
        base: str,
        foreign: tuple[str, ...],
        listed: frozenset[str],
        has_schedulers: bool,
    ) -> None:
        self._connection, self._base, self._foreign = connection, base, foreign
        self._listed, self._has_schedulers = listed, has_schedulers
        self.found = _Findings()

    async def classify(self, names: Sequence[str]) -> None:
        """Sort keys, named without the base, into the findings."""
        rests = []
        for rest in names:
            if rest in keys.RESIDUE_FIXED:
                self.found.residue.add(self._base + rest)
            elif rest not in keys.FIXED and not (self._base + rest).startswith(self._foreign):
                rests.append(rest)
        owners = {part[0] for part in map(keys.job_part, rests) if part}
        looks = await self._look({*rests, *owners})
        for rest in rests:
            self._sort(rest, looks)

    async def confirm_orphans(self) -> None:
        """A job may have moved between indexes during the walk: look again, lists included."""
        looks = await self._look(self.found.orphans, search_lists=True)
        self.found.orphans = {job for job, look in looks.items() if look.is_job and not look.index}

    def _sort(self, rest: str, looks: dict[str, _Look]) -> None:
        look = looks[rest]
        space = rest.partition(":")[0] if ":" in rest else ""
        if look.kind == "none":
            return  # gone since the SCAN (a TTL, a removed job)
        if space == "de" and look.kind == "string":
            self.found.residue.add(self._base + rest)
        elif space == "dn" and look.kind == "hash":
            self.found.deduplicated.add(rest.removeprefix("dn:"))
        elif look.is_job:
            self._sort_job(rest, look)
        elif self._is_dead_part(rest, look, looks) or self._is_dead_hash(rest, look):
            self.found.residue.add(self._base + rest)
        elif not self._is_live(rest, look, looks):
            self.found.unknown.add(self._base + rest)

    def _sort_job(self, job: str, look: _Look) -> None:
        if look.parent and not look.parent.startswith(self._base):
            self.found.parents.add((job, look.parent))
        if look.index or job in self._listed:
            return
        if ":" in job and not job.startswith("repeat:"):
            self.found.unknown.add(self._base + job)  # perhaps the job of a queue that has no meta
        elif look.is_finished:
            self.found.residue.add(self._base + job)
        else:
            self.found.orphans.add(job)

    def _is_dead_part(self, rest: str, look: _Look, looks: dict[str, _Look]) -> bool:
        """A sub-key whose job is in no index: gone, or finished and left behind."""
        part = keys.job_part(rest)
        if part is None or keys.JOB_PARTS[part[1]] != look.kind or self._has_colon(part[0]):
            return False
        owner = looks[part[0]]
        is_orphan = owner.is_job and not owner.is_finished
        return not is_orphan and not owner.index and part[0] not in self._listed

    def _is_dead_hash(self, rest: str, look: _Look) -> bool:
        """What a late worker wrote to a removed job, or a scheduler's definition left behind."""
        if look.kind != "hash" or look.index or rest in self._listed:
            return False
        if rest.startswith("repeat:"):
            return not self._has_schedulers
        return ":" not in rest and bool(look.fields) and look.fields <= keys.DEAD_JOB_FIELDS

    def _is_live(self, rest: str, look: _Look, looks: dict[str, _Look]) -> bool:
        """Known, and either unfinished (the guard sees it) or deleted with its finished job."""
        if look.index or rest in self._listed:
            return look.kind == "hash"
        if look.kind == "hash" and rest.startswith("repeat:") and self._has_schedulers:
            return True
        part = keys.job_part(rest)
        if part is None or keys.JOB_PARTS[part[1]] != look.kind:
            return False
        owner = looks[part[0]]
        return owner.is_job or bool(owner.index) or part[0] in self._listed

    @staticmethod
    def _has_colon(job: str) -> bool:
        return ":" in job and not job.startswith("repeat:")

    async def _look(self, rests: Iterable[str], *, search_lists: bool = False) -> dict[str, _Look]:
        wanted, looks = list(rests), dict[str, _Look]()
        for start in range(0, len(wanted), LOOK_BATCH):
            batch = wanted[start : start + LOOK_BATCH]
            arguments = ("1" if search_lists else "0", *batch)
            answers = await scripts.run(self._connection, _LOOK, self._base, arguments)
            for rest, (kind, index, is_job, done, parent, names) in zip(
                batch, answers, strict=True
            ):
                fields = frozenset(names.split("\n") if names else ())
                looks[rest] = _Look(kind, index, is_job == 1, done == 1, parent, fields)
        return looks


async def _remarkable(connection: RedisConnection, base: str) -> tuple[list[str], set[str]]:
    """Names without the base, SCAN's repetitions left out, and the bases of other queues below
    ours, each with its final colon."""
    pattern, cursor = f"{keys.glob_escaped(base)}*", "0"
    rests: dict[str, None] = {}
    foreign: set[str] = set()
    while True:
        cursor, *found = await scripts.run(connection, _WALK, base, (cursor, pattern))
        foreign |= await _foreign_bases(connection, base, found)
        known = tuple(foreign)
        rests |= dict.fromkeys(rest for rest in found if not (base + rest).startswith(known))
        if cursor == "0":
            return list(rests), foreign


async def _foreign_bases(connection: RedisConnection, base: str, rests: Iterable[str]) -> set[str]:
    """Those that these keys give away."""
    marks = [rest for rest in rests if keys.may_mark_foreign(rest)]
    if not marks:
        return set()
    with translated(connection.address):
        async with connection.client.pipeline(transaction=False) as pipe:
            for rest in marks:
                pipe.type(base + rest)
            kinds = await pipe.execute()
    return {
        base + rest[: rest.rindex(":") + 1]
        for rest, kind in zip(marks, kinds, strict=True)
        if keys.marks_foreign(rest, kind)
    }


async def _listed(connection: RedisConnection, base: str, counts: QueueCounts) -> frozenset[str]:
    """Ids in the lists, which can't be asked for one id in constant time. Usually none."""
    if not counts.waiting + counts.paused + counts.active:
        return frozenset()
    ids: set[str] = set()
    with translated(connection.address):
        for name in _LISTS:
            start = 0
            while chunk := await connection.client.lrange(
                f"{base}{name}", start, start + LIST_CHUNK - 1
            ):
                ids.update(chunk)
                start += len(chunk)
    return frozenset(ids)


async def read_settings(connection: RedisConnection, base: str) -> tuple[tuple[str, str], ...]:
    """What an obliterate forgets and a reopened queue needs: global concurrency, rate limit.
    Raises QueueReadError."""
    with translated(connection.address):
        meta: dict[str, str] = await connection.client.hgetall(f"{base}meta")
    return tuple(
        sorted(
            (name, value)
            for name, value in meta.items()
            if name not in ("version", "paused") and not name.startswith("opts.")
        )
    )
