"""A second process of a service, started by hand beside the one that the stack keeps alive."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx2

from tallystick.stack.ports import free_port
from tallystick.stack.service import ROOT, LocalService
from tests.support.another_process import settings_of_another
from tests.support.chaos_stack import ChaosStack
from tests.support.crashing import GROUPS, VARIABLE

_LAUNCHER = str(Path(__file__).with_name("crashing.py"))
_STOP_SECONDS = 60.0
"""Whoever is asked to end in order is not to be killed for being slow."""
_READY_SECONDS = 150.0
"""An interpreter that imports everything, beside a stack under load."""


def make_twin(stack: ChaosStack, service: str, *, groups: str = "", **changes: str) -> LocalService:
    """Return the process, which has not been started; `changes` are settings, without the service's prefix.

    With `groups` it reads in consumer groups of its own, called after the real ones and this: both read everything.
    """
    port = free_port()
    settings = settings_of_another(
        stack.running.folder, service, port, kafka_idempotence=stack.kafka is not None, velocity_limits=False
    )
    if stack.kafka is not None:
        changes = {"KAFKA_INSTANCE": "twin"} | changes
    own = {f"{service.upper()}_{name}": value for name, value in changes.items()}
    around = {"PYTHONPATH": str(ROOT), VARIABLE: str(stack.orders)} | ({GROUPS: groups} if groups else {})
    twin = LocalService(
        f"{service}-twin",
        port=port,
        command=[sys.executable, _LAUNCHER, service, "serve"],
        settings=settings | own | around,
        logs=stack.running.folder / "logs",
    )
    twin.stop_patience_seconds = _STOP_SECONDS
    return twin


@asynccontextmanager
async def running_twin(
    stack: ChaosStack, service: str, *, groups: str = "", **changes: str
) -> AsyncIterator[LocalService]:
    """Run a second process of the service; it is ready when the block begins, and ends in order with it."""
    async with kept_running(make_twin(stack, service, groups=groups, **changes)) as twin:
        yield twin


@asynccontextmanager
async def kept_running(twin: LocalService) -> AsyncIterator[LocalService]:
    """Run this process; it is ready when the block begins, and ends in order with it."""
    twin.spawn()
    try:
        await until_ready(twin)
        yield twin
    finally:
        await asyncio.to_thread(twin.stop)


async def until_ready(process: LocalService) -> None:
    """Return when it is. Raises: AssertionError with the end of its log."""
    deadline = time.monotonic() + _READY_SECONDS
    while not await asyncio.to_thread(process.is_ready):
        assert process.is_alive(), process.failure("ended before it was ready")
        assert time.monotonic() < deadline, process.failure("was not ready in time")
        await asyncio.sleep(0.1)


async def restart(stack: ChaosStack, service: str) -> None:
    """Ask the stack's own process of the service to end in order; return when the one that follows it is ready."""
    before = stack.running.stack["services"][service]
    for pid in before["pids"]:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _READY_SECONDS
    async with httpx2.AsyncClient(base_url=before["url"], timeout=5.0) as client:
        while True:
            if stack.running.stack["services"][service]["pids"] != before["pids"]:
                with suppress(httpx2.TransportError):
                    if (await client.get("/health/ready")).is_success:
                        return
            assert time.monotonic() < deadline, f"{service} was not ready again"
            await asyncio.sleep(0.1)


def owner_of(stack: ChaosStack, service: str, twin: LocalService, group: str) -> int:
    """Return which of the two processes the group has given its partition, as both said last."""
    own = stack.running.folder / "logs" / f"{service}.log"
    for file, pids in ((own, stack.running.stack["services"][service]["pids"]), (twin.log_file, twin.pids())):
        said = [json.loads(line) for line in file.read_text().splitlines() if '"partitions_assigned"' in line]
        last = [line["partitions"] for line in said if line["group"] == group][-1:]
        if last not in ([], [[]]):
            return int(pids[0])
    raise AssertionError(f"nobody has a partition of {group}")
