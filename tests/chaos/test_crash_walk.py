"""Killed, cut off, answered too late or twice: at every single command of a retirement."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from bullmq_operator.queues import scripts
from bullmq_operator.queues.errors import QueueReadError
from bullmq_operator.queues.retirement import restore_settings
from tests.chaos.stage import BASE, QUEUE, SETTINGS, Stage
from tests.chaos.wire import Command, CutError, Wire

pytestmark = pytest.mark.redis

DELETING = [scripts.load(name).digest.encode() for name in ("slice", "sweep", "close")]


async def killed_before(number: int, wire: Wire, life: Coroutine[Any, Any, object]) -> bool:
    """Run an operator's life, with kill -9 before this command; False if it lived on."""
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
    was_killed = reached.is_set()
    for one in (task, death):
        one.cancel()
    await asyncio.gather(task, death, return_exceptions=True)
    wire.open_again()
    return was_killed


async def test_killed_before_any_command_it_starts_again_and_ends_it(
    stage: Stage, wire: Wire, ran: Callable[[int], None]
) -> None:
    """After the last command but one is the same as before the last: Redis knows no difference."""
    number = 1
    while await killed_before(number, wire, stage.retire_anew()):
        assert await stage.converge() <= 1, f"killed before command {number}"
        stage.set()
        number += 1
    assert stage.looks_retired()
    ran(number)


async def test_killed_in_its_second_life_too(
    stage: Stage, wire: Wire, ran: Callable[[int], None]
) -> None:
    total, deletes = await length(stage, wire), await deleting(stage, wire)
    for first in deletes:
        for second in range(1, total + 1):
            stage.set()
            await killed_before(first, wire, stage.retire_anew())
            await killed_before(second, wire, stage.retire_anew())
            assert await stage.converge() <= 1, f"killed before {first}, then before {second}"
    ran(len(deletes) * total)


async def length(stage: Stage, wire: Wire) -> int:
    """How many commands a retirement has, once Redis knows our scripts."""
    await stage.retire_anew()
    stage.set()
    wire.reset()
    await stage.retire_anew()
    return len(wire.seen)


async def deleting(stage: Stage, wire: Wire) -> list[int]:
    """The numbers of the commands that delete behind the guard."""
    await length(stage, wire)
    return [n for n, command in enumerate(wire.seen, 1) if command.words[1] in DELETING]


async def test_a_lost_answer_is_asked_for_again_and_does_no_harm(
    stage: Stage, wire: Wire, ran: Callable[[int], None]
) -> None:
    """The connection breaks after the command ran; the client connects anew and sends it again."""
    total = await length(stage, wire)
    for number in range(1, total + 1):
        stage.set()
        wire.reset()

        def lose(at: int, _: Command, number: int = number) -> None:
            if at == number:
                raise CutError

        wire.after = lose
        outcome = await stage.retire_anew()
        assert outcome.closed, f"the answer of command {number} was lost: {outcome}"
        again = [command.words for command in wire.seen[number:]]
        assert wire.seen[number - 1].words in again, f"command {number} was not sent again"
        assert await stage.converge() == 0
    ran(total)


async def test_a_lost_answer_and_a_redis_that_stays_away_end_in_an_error_and_the_next_run_ends_it(
    stage: Stage, wire: Wire, ran: Callable[[int], None]
) -> None:
    total = await length(stage, wire)
    connection = stage.connect()
    for number in range(1, total + 1):
        stage.set()
        wire.reset()

        def cut(at: int, _: Command, number: int = number) -> None:
            if at == number:
                wire.cut()
                raise CutError

        wire.after = cut
        with pytest.raises(QueueReadError):
            await stage.retire(connection)
        wire.reset()
        if stage.keys():  # the very last answer tells of a queue that is gone
            assert (await stage.retire(connection)).closed, f"after command {number}"
        assert await stage.converge() == 0
    await connection.close()
    ran(total)


async def test_scripts_flushed_before_any_command_go_unnoticed(
    stage: Stage, wire: Wire, ran: Callable[[int], None]
) -> None:
    number, commands = 0, 1
    while number < commands:
        number += 1
        stage.set()
        wire.reset()

        def flush(at: int, _: Command, number: int = number) -> None:
            if at == number:
                stage.raw.script_flush()

        wire.before = flush
        outcome = await stage.retire_anew()
        assert outcome.closed, f"flushed before command {number}: {outcome}"
        assert await stage.converge() == 0
        commands = len(wire.seen)
    ran(number)


async def give_back(stage: Stage) -> None:
    """What a rollback does after a retirement."""
    connection = stage.connect()
    try:
        await restore_settings(connection, QUEUE, SETTINGS | {"max": "10", "duration": "1000"})
    finally:
        await connection.close()


async def test_killed_before_any_command_of_a_rollback_the_settings_come_back_whole(
    stage: Stage, wire: Wire, ran: Callable[[int], None]
) -> None:
    number, was_killed = 1, True
    while was_killed:
        stage.set()
        await stage.retire_anew(stage.server.url)
        wire.reset()
        was_killed = await killed_before(number, wire, give_back(stage))
        await give_back(stage)
        found = stage.raw.hgetall(f"{BASE}meta")
        assert found == SETTINGS | {"max": "10", "duration": "1000"}, f"before command {number}"
        number += 1
    assert number > 2
    ran(number - 1)
