"""Any order of what producers, workers, people, crashes and the operator do, drawn by Hypothesis.

A schedule ends with everybody doing their part: then the version that serves has its workers, the
others are gone from Redis, and every job that was ever acknowledged has been worked on.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import hypothesis
import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bullmq_operator.domain.names import VersionKey
from bullmq_operator.domain.spec import State
from bullmq_operator.domain.status import Phase
from tests.chaos.family import Family
from tests.chaos.ground import PRODUCER, Ground
from tests.chaos.test_crash_walk import DELETING
from tests.chaos.wire import Command

pytestmark = pytest.mark.redis

SCHEDULES = int(os.environ.get("CHAOS", "20"))
STEPS = 30
PASSES = 3
"""From the last job's end to the deletion: proven and scaled down, Pods gone, inventory taken."""
RESTARTS = 2
"""Processes that are started anew in one schedule: each takes as long as all its other steps."""
ENOUGH_ROUNDS = 40
LATER = {"delay": 3_600_000}
TOKENS = itertools.count()

queues = st.sampled_from(["orders/v1", "orders/v2"])
options = st.sampled_from(
    [
        {},
        LATER,
        {"priority": 3},
        {"removeOnComplete": True},
        {"attempts": 2},
        {"deduplication": {"id": "k", "keepLastIfActive": True}},
    ]
)


def job(**more: Any) -> dict[str, Any]:
    """A job that nobody owes yet."""
    return {"name": "job", "data": {"token": f"t{next(TOKENS)}"}, **more}


class Chaos(RuleBasedStateMachine):
    """One schedule."""

    ground: ClassVar[Ground]
    ran: ClassVar[int] = 0

    @initialize()
    def begin(self) -> None:
        self.ground.clear()
        self.family = Family(self.ground)
        self.owed: set[str] = set()
        self.restarts = 0
        self.family.deploy("1")
        self.family.reconcile()

    # --- producers and people --------------------------------------------------------------------

    @rule(queue=queues, opts=options)
    def produce(self, queue: str, opts: dict[str, Any]) -> None:
        one = job()
        token = one["data"]["token"]
        self.producer(queue, "add", "job", one["data"], opts)
        if "deduplication" not in opts or token in self.ground.stored():
            self.owed.add(token)  # else ignored by design, in favour of the one that waits

    @rule(queue=queues, count=st.integers(1, 3))
    def produce_many(self, queue: str, count: int) -> None:
        many = [job() for _ in range(count)]
        self.producer(queue, "addBulk", many)
        self.owed |= {one["data"]["token"] for one in many}

    @rule(parent=queues, child=queues)
    def produce_flow(self, parent: str, child: str) -> None:
        inner = job(queueName=child)
        outer = job(queueName=parent, children=[inner])
        self.producer(parent, "addFlow", outer)
        self.owed |= {one["data"]["token"] for one in (inner, outer)}

    @rule(queue=queues)
    def schedule(self, queue: str) -> None:
        self.producer(queue, "schedule", "daily", 86_400_000, {})

    @rule(queue=queues)
    def unschedule(self, queue: str) -> None:
        self.producer(queue, "unschedule")

    @rule(queue=queues)
    def pause(self, queue: str) -> None:
        self.producer(queue, "pause")

    @rule(queue=queues)
    def resume(self, queue: str) -> None:
        self.producer(queue, "resume")

    @rule(queue=queues)
    def set_global_concurrency(self, queue: str) -> None:
        self.producer(queue, "setGlobalConcurrency", 1)

    @rule(queue=queues)
    def promote(self, queue: str) -> None:
        self.producer(queue, "promoteJobs")

    @precondition(lambda self: len(self.family.versions) == 1)
    @rule()
    def supersede(self) -> None:
        self.family.deploy("2")

    @precondition(lambda self: len(self.family.versions) == 2)
    @rule(state=st.sampled_from([State.RETIRED, State.AUTO]))
    def roll_back_or_on(self, state: State) -> None:
        self.family.turn(self.key("orders/v2"), state)

    # --- workers ---------------------------------------------------------------------------------

    @rule(queue=queues, count=st.integers(1, 5))
    def process(self, queue: str, count: int) -> None:
        if self.has_workers(queue):
            self.ground.hand(queue).do(queue, "process", count)

    @rule(queue=queues)
    def take(self, queue: str) -> None:
        if self.has_workers(queue):
            self.ground.hand(queue).do(queue, "take")

    @rule(queue=queues)
    def finish(self, queue: str) -> None:
        self.ground.hand(queue).do(queue, "finish")

    @precondition(lambda self: self.restarts < RESTARTS)
    @rule(queue=queues)
    def kill_worker(self, queue: str) -> None:
        self.restarts += 1
        self.ground.kill(queue)

    @rule()
    def pods_end(self) -> None:
        for key, fleet in self.family.fleets.items():
            if fleet.pods > fleet.replicas:
                self.let_go(self.family.versions[key].queue.name)
                fleet.pods = fleet.replicas

    # --- the operator ----------------------------------------------------------------------------

    @rule(passes=st.integers(1, 3))
    def reconcile(self, passes: int) -> None:
        for _ in range(passes):
            self.family.reconcile()

    @rule(deletion=st.integers(1, 4), queue=queues, opts=options, finished=st.booleans())
    def intrude(self, deletion: int, queue: str, opts: dict[str, Any], finished: bool) -> None:
        """All is calm, and a retirement begins; then a job comes before one of its deletions, and
        perhaps it is worked on at once."""
        count = itertools.count(1)

        def act(_: int, command: Command) -> None:
            if command.words[1:2] and command.words[1] in DELETING and next(count) == deletion:
                self.produce(queue, opts)
                if finished:
                    self.process(queue, 5)

        for _ in range(PASSES):
            self.calm_down()
            self.family.reconcile(intruder=act)

    @rule(call=st.integers(1, 30), calm=st.booleans())
    def kill_operator(self, call: int, calm: bool) -> None:
        if calm:
            self.calm_down()
        self.family.reconcile(killed_at=call)

    @rule()
    def cut_redis(self) -> None:
        self.ground.wire.cut()
        assert self.family.reconcile() is not None

    @precondition(lambda self: self.restarts < RESTARTS)
    @rule()
    def restart_redis(self) -> None:
        self.restarts += 1
        self.ground.restart_redis()

    # --- what must hold --------------------------------------------------------------------------

    @invariant()
    def nothing_is_lost(self) -> None:
        missing = self.owed - self.ground.done
        if missing:
            missing -= self.ground.stored()
        assert not missing, f"acknowledged, never worked on, and gone: {missing}"

    def teardown(self) -> None:
        if not hasattr(self, "family"):
            return
        try:
            self.end_well()
            type(self).ran += 1
        finally:
            self.family.close()

    def end_well(self) -> None:
        """Everybody does their part until nothing is left to do."""
        if len(self.family.versions) == 1:
            self.supersede()
        for _ in range(ENOUGH_ROUNDS):
            planned = self.family.reconcile()
            self.calm_down()
            if planned is not None and not planned.actions and self.is_settled():
                break
        else:
            raise AssertionError(f"no end: {self.phases()}")
        lost = self.owed - self.ground.done
        assert not lost, f"acknowledged and never worked on: {lost}"
        self.ground.check_neighbour()

    def calm_down(self) -> None:
        """People and workers do all that they can."""
        self.pods_end()
        for version in self.family.versions.values():
            self.play_out(version.queue.name)

    def play_out(self, queue: str) -> None:
        if self.ground.raw.exists(f"bull:{queue}:repeat"):
            self.producer(queue, "unschedule")
        if self.ground.raw.hexists(f"bull:{queue}:meta", "paused"):
            self.producer(queue, "resume")
        meta = f"bull:{queue}:meta"
        if self.ground.raw.hexists(meta, "concurrency") and not self.ground.raw.exists(
            f"bull:{queue}:id"
        ):
            self.producer(queue, "removeGlobalConcurrency")  # of a queue that is gone: KeysLeft
        if not self.has_workers(queue):
            return
        worker = self.ground.hand(queue)
        while worker.do(queue, "finish") is not None:
            pass
        if self.ground.raw.exists(f"bull:{queue}:active"):
            self.recover(queue)
        if self.ground.raw.exists(
            *(f"bull:{queue}:{at}" for at in ("wait", "delayed", "prioritized"))
        ):
            worker.do(queue, "promoteJobs")
            worker.do(queue, "process", 100)

    def recover(self, queue: str) -> None:
        self.ground.recover(queue, queue)

    def is_settled(self) -> bool:
        """Whether one version serves with its workers, and of the others nothing is left."""
        for key, version in self.family.versions.items():
            if version.status.phase is Phase.CURRENT:
                settled = self.family.fleets[key].replicas == 1
            else:
                settled = version.status.phase is Phase.RETIRED and not self.ground.keys(
                    version.queue.name
                )
            if not settled:
                return False
        return True

    def phases(self) -> list[str]:
        return [f"{key}: {one.status}" for key, one in self.family.versions.items()]

    def key(self, queue: str) -> VersionKey:
        return VersionKey("shop", queue.replace("/", "-"))

    def has_workers(self, queue: str) -> bool:
        fleet = self.family.fleets.get(self.key(queue))
        return fleet is not None and fleet.pods > 0

    def let_go(self, queue: str) -> None:
        """SIGTERM: a worker finishes what it has."""
        worker = self.ground.hand(queue)
        while worker.do(queue, "finish") is not None:
            pass

    def producer(self, queue: str, *step: Any) -> Any:
        return self.ground.hand(PRODUCER).do(queue, *step)


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    """Shared by all schedules."""
    ground = Ground()
    yield ground
    ground.close()


@pytest.mark.timeout(300 + 30 * SCHEDULES)
def test_no_order_of_events_loses_a_job_and_all_of_them_end(
    ground: Ground, chaos_seed: int, ran: Callable[[int], None]
) -> None:
    Chaos.ground, Chaos.ran = ground, 0
    run_state_machine_as_test(
        seed(chaos_seed)(Chaos),
        settings=settings(
            max_examples=SCHEDULES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[hypothesis.Phase.generate],  # a shorter schedule takes many minutes to find
            suppress_health_check=list(HealthCheck),
        ),
    )
    ran(Chaos.ran)
