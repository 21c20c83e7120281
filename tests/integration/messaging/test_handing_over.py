"""A partition passes from one process to the next at a batch's end, or with the batch, and never in between."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from tests.integration.messaging.conftest import SESSION_MS, Notebook, World, until

ROOT = Path(__file__).parents[3]


class Gate:
    """Holds a handler until it is opened."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self, _found: list[int]) -> None:
        self.reached.set()
        await self.opened.wait()


async def test_a_revoked_partition_waits_for_the_running_batch(world: World) -> None:
    gate, done = Gate(), list[int]()
    first, second = Notebook(gate, done), Notebook(noted=done)
    await world.start()
    await world.send_numbers(*range(5))
    await world.start(first, ready=False)
    await gate.reached.wait()
    joining = asyncio.create_task(world.start(second, ready=False))
    await asyncio.sleep(2 * SESSION_MS / 1000)
    assert second.batches == []  # whoever gets the partition next has to wait

    gate.opened.set()
    await joining
    await world.send_numbers(*range(5, 10))
    await until(lambda: done[-1:] == [9])
    assert first.batches[0] == list(range(5))
    assert done == list(range(10))


async def test_whoever_stands_by_is_ready_and_takes_over(world: World) -> None:
    """A rollout starts the new process, and ends the old one only when that is ready."""
    first, second = Notebook(), Notebook()
    await world.start()
    buses = [await world.start(first), await world.start(second)]
    await world.send_numbers(0)
    await until(lambda: [0] in (first.noted, second.noted))
    owner, other = (0, second) if first.noted else (1, first)
    assert buses[1 - owner].what_is_wrong() is None
    await world.stop(buses[owner])
    await world.send_numbers(1)
    await until(lambda: other.noted == [1])


async def test_stopping_finishes_the_running_batch_and_acknowledges_it(world: World) -> None:
    gate = Gate()
    notebook = Notebook(gate)
    bus = await world.start()
    await world.send_numbers(0, 1, 2)
    bus = await world.start(notebook, ready=False)
    await gate.reached.wait()
    stopping = asyncio.create_task(world.stop(bus))
    await asyncio.sleep(0.2)
    gate.opened.set()
    await stopping
    assert notebook.noted == [0, 1, 2]
    assert await world.committed() == 3

    successor = Notebook()
    await world.start(successor)
    await world.send_numbers(3)
    await until(lambda: bool(successor.noted))
    assert successor.noted == [3]


async def test_while_stopping_no_other_batch_is_begun(world: World) -> None:
    gate = Gate()
    notebook = Notebook(gate)
    await world.start()
    await world.send_numbers(*range(10))
    bus = await world.start(notebook, max_messages=2, ready=False)
    await gate.reached.wait()
    stopping = asyncio.create_task(world.stop(bus))
    await asyncio.sleep(0.2)
    gate.opened.set()
    await stopping
    assert notebook.batches == [[0, 1]]
    assert await world.committed() == 2


async def test_a_batch_whose_process_is_killed_comes_again_to_the_next(world: World) -> None:
    await world.start()
    await world.send_numbers(0, 1, 2)
    facts = {
        "topic": world.topic.name,
        "group": world.group,
        "settings": {
            **world.settings().model_dump(mode="json"),
            "postgres_dsn": world.settings().postgres_dsn.get_secret_value(),
        },
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.integration.messaging.dying_consumer", json.dumps(facts)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        lines = [line async for line in _until_said(process.stdout)]
        assert json.loads(lines[-1]) == {"working_on": [0, 1, 2]}
    finally:
        process.kill()
        await process.wait()

    successor = Notebook()
    await world.start(successor, ready=False)
    await until(lambda: successor.noted == [0, 1, 2])


async def _until_said(stdout: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield lines, among them log lines, up to the one in which the process says what it is working on."""
    async for line in stdout:
        yield line
        if line.startswith(b'{"working_on"'):
            return
