"""A migration that is killed, cut off or joined by others, at every single command of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from bullmq_operator.domain.migration import MigrationOutcome
from bullmq_operator.queues.connection import ConnectionSettings, connect
from bullmq_operator.queues.errors import QueueReadError
from bullmq_operator.queues.migration import migrate_queue
from devcluster.bullmq import Major
from devcluster.redis_server import RedisServer
from tests.chaos.wire import Command, CutError, Wire
from tests.integration.queues.features import EVERY_MAJOR, LATER, node
from tests.integration.queues.support import Shop

pytestmark = pytest.mark.redis

WAITING = 130
"""More than the first call takes."""
INDEXES = ("wait", "paused", "prioritized", "delayed", "active", "waiting-children")


@dataclass
class Scene:
    """Jobs of every kind that is moved, and a copy of them for each schedule."""

    source: Shop
    target: Shop
    wire: Wire
    owed: Counter[str] = field(default_factory=Counter)
    _copy: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def raw(self) -> Any:
        return self.source.raw

    def build(self) -> None:
        """Each job's data holds a token of its own."""
        plain = [self.job() for _ in range(WAITING)]
        self.source.run(
            ["addBulk", plain],
            *(self.add(priority=number % 3 + 1) for number in range(9)),
            *(self.add(delay=LATER + number) for number in range(5)),
            *(self.add(jobId=name) for name in ("own", "taken")),
            ["job", "3", "log", "a line"],
        )
        self.target.run(self.add(jobId="taken"))
        flow = node("parents", "p", node(self.source.name, "child"))
        flow["children"][0]["data"] = {"token": self.token()}
        self.source.other("parents").run(["addFlow", flow])
        self._copy = {key: self._binary("DUMP", key) for key in self._binary("KEYS", "*")}

    def reset(self) -> None:
        """As it was built."""
        self.raw.flushall()
        for key, dumped in self._copy.items():
            self._binary("RESTORE", key, 0, dumped)
        self.owed = Counter({token: 1 for token in self.owed if token.startswith("built")})

    def token(self, kind: str = "built") -> str:
        token = f"{kind}{len(self.owed)}"
        self.owed[token] = 1
        return token

    def job(self, kind: str = "built", **options: Any) -> dict[str, Any]:
        return {"name": "x", "data": {"token": self.token(kind)}, "opts": options}

    def add(self, kind: str = "built", **options: Any) -> list[Any]:
        one = self.job(kind, **options)
        return ["add", one["name"], one["data"], one["opts"]]

    def _binary(self, *words: Any) -> Any:
        """Past the decoding of answers."""
        return self.raw.execute_command(*words, NEVER_DECODE=True)

    async def migrate(self) -> MigrationOutcome:
        """By a process that knows nothing of those before it."""
        connection = connect(ConnectionSettings(url=self.wire.url))
        try:
            return await migrate_queue(
                connection, self.source.queue, self.target.queue, id_prefix="v1-"
            )
        finally:
            await connection.close()

    def check(self) -> None:
        """Every job that is owed is whole, in one queue, and there in one index."""
        found: Counter[str] = Counter()
        for shop in (self.source, self.target):
            listed = Counter(job for name in INDEXES for job in self.ids(shop, name))
            for job, times in listed.items():
                data = self.raw.hget(f"{shop.base}{job}", "data") or "nothing"
                assert times == 1, f"{shop.base}{job} is in {times} indexes"
                found[data] += 1
            self._no_more_hashes(shop, set(listed))
        assert found == Counter({f'{{"token":"{token}"}}': 1 for token in self.owed})
        self._check_child()

    def ids(self, shop: Shop, name: str) -> list[str]:
        """Of the jobs in this index; v4's markers are none."""
        key = f"{shop.base}{name}"
        if self.raw.type(key) == "zset":
            return list(self.raw.zrange(key, 0, -1))
        return [job for job in self.raw.lrange(key, 0, -1) if not job.startswith("0:")]

    def _no_more_hashes(self, shop: Shop, listed: set[str]) -> None:
        orphans = {
            rest
            for rest in (key.removeprefix(shop.base) for key in sorted(shop.keys()))
            if rest not in listed
            and rest.partition(":")[0] not in listed
            and rest not in {*INDEXES, "meta", "id", "events", "marker", "pc", "stalled-check"}
        }
        assert orphans == set(), f"in no index of {shop.name}"

    def _check_child(self) -> None:
        """Its parent names it where it is."""
        (child,) = self.raw.smembers("bull:parents:p:dependencies")
        assert self.raw.exists(child)


@pytest.fixture
async def scene(redis_server: RedisServer, shop: Shop, major: Major) -> AsyncIterator[Scene]:
    async with Wire(redis_server.host, redis_server.port) as wire:
        scene = Scene(shop, shop.other("orders/v2"), wire)
        scene.build()
        yield scene


async def finished(scene: Scene) -> None:
    """The next run ends it, wherever the one before it ended."""
    scene.wire.reset()
    scene.check()
    outcome = await scene.migrate()
    assert (outcome.left, outcome.still_fed) == ((), False)
    scene.check()
    assert not any(scene.ids(scene.source, name) for name in INDEXES)


async def killed_before(number: int, wire: Wire, life: Coroutine[Any, Any, object]) -> bool:
    """kill -9 before this command; False if it lived on."""
    reached = asyncio.Event()
    wire.reset()

    def kill(at: int, _: Command) -> None:
        if at == number:
            reached.set()
            wire.cut()
            raise CutError

    wire.before = kill
    task = asyncio.create_task(life)
    death = asyncio.create_task(reached.wait())
    await asyncio.wait([task, death], return_when=asyncio.FIRST_COMPLETED)
    for one in (task, death):
        one.cancel()
    await asyncio.gather(task, death, return_exceptions=True)
    wire.reset()
    return reached.is_set()


@EVERY_MAJOR
async def test_killed_before_any_command_the_next_run_ends_it(scene: Scene) -> None:
    number = 1
    while await killed_before(number, scene.wire, scene.migrate()):
        await finished(scene)
        scene.reset()
        number += 1
    assert number > 8, "the walk was shorter than a migration"


@EVERY_MAJOR
async def test_a_lost_answer_is_asked_for_again_and_moves_no_job_twice(scene: Scene) -> None:
    number, length = 1, 9
    while number <= length:
        scene.reset()
        scene.wire.reset()
        scene.wire.after = at(number, cut_once)
        outcome = await scene.migrate()
        length = len(scene.wire.seen)
        assert outcome.migrated_jobs <= len(scene.owed)
        assert not outcome.left
        await finished(scene)
        number += 1
    assert number > 9


@EVERY_MAJOR
async def test_a_lost_answer_and_a_redis_that_stays_away_leave_every_job_in_one_place(
    scene: Scene,
) -> None:
    number, failed = 1, True
    while failed:
        scene.reset()
        scene.wire.reset()
        scene.wire.after = at(number, scene.wire.cut, cut_once)
        try:
            await scene.migrate()
            failed = False
        except QueueReadError:
            await finished(scene)
            number += 1
    assert number > 8


@EVERY_MAJOR
async def test_every_job_is_whole_and_in_one_place_before_and_after_each_command(
    scene: Scene,
) -> None:
    errors: list[AssertionError] = []

    def look(_: int, __: Command) -> None:
        try:
            scene.check()
        except AssertionError as error:  # told in the test, not in the proxy
            errors.append(error)

    scene.wire.before = scene.wire.after = look
    await scene.migrate()
    assert not errors, errors[0]
    assert len(scene.wire.seen) > 8


@EVERY_MAJOR
async def test_producers_and_workers_between_any_two_commands_lose_and_double_nothing(
    scene: Scene,
) -> None:
    """Old producers add to the source, new ones to the target, the source's worker takes a job."""
    number, length = 1, 1
    while number <= length:
        scene.reset()
        scene.wire.reset()
        errors: list[BaseException] = []
        scene.wire.before = at(number, partial(intrude, scene, errors))
        outcome = await scene.migrate()
        length = len(scene.wire.seen)
        scene.wire.reset()
        assert not errors, errors[0]
        scene.check()
        assert {one.reason.value for one in outcome.left} <= {"Active"}
        number += 2
    assert number > 8


def intrude(scene: Scene, errors: list[BaseException]) -> None:
    try:
        late = [scene.add("late"), scene.add("late", priority=2), scene.add("late", delay=LATER)]
        scene.source.run(*late, ["process", 1, {"leaveActive": True}])
        scene.target.run(scene.add("late"))
    except BaseException as error:
        errors.append(error)


@EVERY_MAJOR
async def test_two_operators_at_once_move_each_job_once(scene: Scene) -> None:
    outcomes = await asyncio.gather(*(scene.migrate() for _ in range(3)))
    assert sum(outcome.migrated_jobs for outcome in outcomes) == len(scene.owed) - 1
    await finished(scene)


def at(number: int, *acts: Callable[[], object]) -> Callable[[int, Command], None]:
    """Act at this command."""

    def hook(here: int, _: Command) -> None:
        if here == number:
            for act in acts:
                act()

    return hook


def cut_once() -> None:
    """This connection breaks; a new one is taken."""
    raise CutError
