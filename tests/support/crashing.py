"""Runs one service with a hook at its crash points, so that a test can kill it at a place instead of at a moment.

`python tests/support/crashing.py <service> <role>` is `python -m services.<service> <role>`, plus a look into the
folder that TALLYSTICK_CRASH_ORDERS names whenever a point is reached. An order is a file `<service>.<point>`, written
by `order_crash`: the process counts down in it, removes it and kills itself, and the one started after it lives.
"""

import asyncio
import os
import runpy
import signal
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tallystick.stack.forked_process import CAN_FORK
from tallystick.stack.local_process import Command

VARIABLE = "TALLYSTICK_CRASH_ORDERS"


@dataclass(frozen=True)
class CrashOrder:
    """A crash that a test has ordered."""

    file: Path

    async def wait(self, *, seconds: float) -> None:
        """Return when the process has reached the point and is dead. Raises: TimeoutError."""
        async with asyncio.timeout(seconds):
            while self.file.exists():  # noqa: ASYNC110 -- another process removes it
                await asyncio.sleep(0.02)


def order_crash(folder: Path, service: str, point: str, *, reached: int, later_seconds: float = 0.0) -> CrashOrder:
    """Let the service die when it reaches the point for the n-th time from now on.

    `later_seconds` after it, if given: what was handed to the event loop there, such as a message to the broker, then
    has left the process.
    """
    file = folder / f"{service}.{point}"
    draft = folder / f".{file.name}"
    draft.write_text(f"{reached} {later_seconds}")
    draft.replace(file)
    return CrashOrder(file)


class Executioner:
    """The hook: obeys at most one order a point, and counts only what happens after it was given."""

    def __init__(self, folder: Path, service: str) -> None:
        self._folder = folder
        self._service = service
        self._times: dict[str, int] = {}

    def __call__(self, point: str) -> None:
        order = self._folder / f"{self._service}.{point}"
        if not order.exists():
            self._times.pop(point, None)
            return
        due, later_seconds = order.read_text().split()
        self._times[point] = self._times.get(point, 0) + 1
        if self._times[point] != int(due):
            return
        if float(later_seconds) > 0:
            asyncio.get_running_loop().call_later(float(later_seconds), self._kill, order)
        else:
            self._kill(order)

    @staticmethod
    def _kill(order: Path) -> None:
        order.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def serve_command(service: str) -> Command:
    """Return what runs the service of a stack with the hook, in the way in which `up` runs it without."""
    return partial(_run, service, "serve") if CAN_FORK else [sys.executable, __file__, service, "serve"]


def _run(service: str, role: str) -> None:
    from libs.common import crash_points  # noqa: PLC0415 -- tests import this module for `order_crash` alone

    crash_points.install(Executioner(Path(os.environ[VARIABLE]), service))
    sys.argv = [service, role]
    runpy.run_module(f"services.{service}", run_name="__main__", alter_sys=False)


if __name__ == "__main__":
    _run(*sys.argv[1:])
