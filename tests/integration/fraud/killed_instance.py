"""An instance of fraud in a process of its own, which kills itself at a named point, and ends in no good order."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Final

import msgspec

from libs.common import crash_points
from libs.common.contracts.gateway import CaptureTransfer
from libs.common.contracts.transfers import TransferCommand
from services.fraud.use_cases.find_payees import Asked
from tests.integration.fraud.command_desk import CommandDesk
from tests.integration.fraud.office import Office

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(list[TransferCommand]).decode
_decode_capture: Final = msgspec.json.Decoder(CaptureTransfer).decode


async def screen_and_be_killed(dsn: str, commands: Sequence[TransferCommand], now: datetime, point: str) -> int | None:
    """Screen these in another process, which gets SIGKILL at that point; return its exit code, -9 for a kill."""
    return await _be_killed(_screen, dsn, _encode(list(commands)), now, point)


async def hear_capture_and_be_killed(dsn: str, command: CaptureTransfer, now: datetime, point: str) -> int | None:
    """Let a capture come to another process, which gets SIGKILL at that point; return its exit code, -9 for a kill."""
    return await _be_killed(_hear, dsn, _encode(command), now, point)


async def _be_killed(
    do: Callable[[str, bytes, datetime], Coroutine[None, None, None]], dsn: str, work: bytes, now: datetime, point: str
) -> int | None:
    server = multiprocessing.get_context("forkserver")  # imports once, however many are killed
    server.set_forkserver_preload([__name__])
    process = server.Process(target=_run, args=(do, dsn, work, now, point))
    process.start()
    await asyncio.to_thread(process.join)
    return process.exitcode


def _run(
    do: Callable[[str, bytes, datetime], Coroutine[None, None, None]], dsn: str, work: bytes, now: datetime, point: str
) -> None:
    def kill(reached: str) -> None:
        if reached == point:
            os.kill(os.getpid(), signal.SIGKILL)

    crash_points.install(kill)
    asyncio.run(do(dsn, work, now))


async def _screen(dsn: str, commands: bytes, now: datetime) -> None:
    async with Office(dsn) as office:
        office.now = now
        await office.screen([Asked((command,)) for command in _decode(commands)])


async def _hear(dsn: str, command: bytes, now: datetime) -> None:
    async with Office(dsn) as office, CommandDesk(office) as desk:
        office.now = now
        await desk.ask(_decode_capture(command))
