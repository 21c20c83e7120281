"""An instance of fraud in a process of its own, which kills itself at a named point, and ends in no good order."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from libs.common import crash_points
from libs.common.contracts.transfers import TransferCommand
from services.fraud.use_cases.find_payees import Asked
from tests.integration.fraud.office import Office

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(list[TransferCommand]).decode


async def screen_and_be_killed(dsn: str, commands: Sequence[TransferCommand], now: datetime, point: str) -> int | None:
    """Screen these in another process, which gets SIGKILL at that point; return its exit code, -9 for a kill."""
    server = multiprocessing.get_context("forkserver")  # imports once, however many are killed
    server.set_forkserver_preload([__name__])
    process = server.Process(target=_screen, args=(dsn, _encode(list(commands)), now, point))
    process.start()
    await asyncio.to_thread(process.join)
    return process.exitcode


def _screen(dsn: str, commands: bytes, now: datetime, point: str) -> None:
    def kill(reached: str) -> None:
        if reached == point:
            os.kill(os.getpid(), signal.SIGKILL)

    crash_points.install(kill)
    asyncio.run(_ask(dsn, _decode(commands), now))


async def _ask(dsn: str, commands: Sequence[TransferCommand], now: datetime) -> None:
    async with Office(dsn) as office:
        office.now = now
        await office.screen([Asked((command,)) for command in commands])
