"""Runs one service with a hook at its crash points, so that a test can kill it at a place instead of at a moment.

`python tests/support/crashing.py <service> <role>` is `python -m services.<service> <role>`, plus a look into the
folder that TALLYSTICK_CRASH_ORDERS names whenever a point is reached. An order is a file `<service>.<point>`, written
by `order_crash`: the process counts down in it, removes it and kills itself, and the one started after it lives.
`order_pause` has it stand still instead, until somebody wakes it. What `change_settings` writes there holds from the
service's next start. A process with TALLYSTICK_GROUPS reads in consumer groups of that name, beside the real ones.
"""

import asyncio
import json
import os
import runpy
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tallystick.stack.forked_process import CAN_FORK
from tallystick.stack.local_process import Command

if TYPE_CHECKING:
    from libs.common.messaging.delivery import Subscription

VARIABLE = "TALLYSTICK_CRASH_ORDERS"
GROUPS = "TALLYSTICK_GROUPS"
_SETTINGS = ".settings"


@dataclass(frozen=True)
class CrashOrder:
    """A crash, or a pause, that a test has ordered."""

    file: Path

    async def wait(self, *, seconds: float) -> None:
        """Return when the process has reached the point and is dead, or stands still. Raises: TimeoutError."""
        async with asyncio.timeout(seconds):
            while self.file.exists():  # noqa: ASYNC110 -- another process removes it
                await asyncio.sleep(0.02)


def order_crash(folder: Path, service: str, point: str, *, reached: int, later_seconds: float = 0.0) -> CrashOrder:
    """Let the service die when it reaches the point for the n-th time from now on.

    `later_seconds` after it, if given: what was handed to the event loop there, such as a message to the broker, then
    has left the process.
    """
    return CrashOrder(_put(folder / f"{service}.{point}", f"{reached} {later_seconds} {signal.SIGKILL:d}"))


def order_pause(folder: Path, service: str, point: str, pid: int, *, reached: int) -> CrashOrder:
    """Let this process stand still (SIGSTOP) where it reaches the point for the n-th time from now on."""
    return CrashOrder(_put(folder / f"{service}.{point}", f"{reached} 0.0 {signal.SIGSTOP:d} {pid}"))


def change_settings(folder: Path, service: str, **changes: str) -> None:
    """Start the service with these environment variables from now on, whatever the stack says."""
    _put(folder / f"{service}{_SETTINGS}", json.dumps(changes))


def _put(file: Path, text: str) -> Path:
    draft = file.with_name(f".{file.name}")
    draft.write_text(text)
    return draft.replace(file)


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
        try:
            due, later_seconds, number, *meant = order.read_text().split()
        except FileNotFoundError:
            return  # another process of this service has just obeyed
        if meant not in ([], [str(os.getpid())]):
            return
        self._times[point] = self._times.get(point, 0) + 1
        if self._times[point] != int(due):
            return
        if float(later_seconds) > 0:
            asyncio.get_running_loop().call_later(float(later_seconds), self._obey, order, int(number))
        else:
            self._obey(order, int(number))

    @staticmethod
    def _obey(order: Path, number: int) -> None:
        with suppress(FileNotFoundError):
            order.unlink()
            os.kill(os.getpid(), number)


def serve_command(service: str) -> Command:
    """Return what runs the service of a stack with the hook, in the way in which `up` runs it without."""
    return partial(_run, service, "serve") if CAN_FORK else [sys.executable, __file__, service, "serve"]


def _run(service: str, role: str) -> None:
    from libs.common import crash_points  # noqa: PLC0415 -- tests import this module for `order_crash` alone
    from tests.support.stepped_clock import SteppedClock  # noqa: PLC0415 -- as above

    orders = Path(os.environ[VARIABLE])
    changed = orders / f"{service}{_SETTINGS}"
    if changed.exists():
        os.environ.update(json.loads(changed.read_text()))
    if GROUPS in os.environ:
        _read_in_groups_of_its_own(os.environ[GROUPS])
    crash_points.install(Executioner(orders, service))
    SteppedClock(orders, service).install()
    sys.argv = [service, role]
    runpy.run_module(f"services.{service}", run_name="__main__", alter_sys=False)


def _read_in_groups_of_its_own(name: str) -> None:
    """Let the bus share no partition with anybody: whatever others of the service read, this process reads as well."""
    from libs.common.messaging.bus import Bus  # noqa: PLC0415 -- as above

    subscribe = Bus.subscribe

    def subscribe_alone(self: Bus, subscription: "Subscription") -> None:
        subscribe(self, replace(subscription, group=f"{subscription.group}.{name}"))

    Bus.subscribe = subscribe_alone  # type: ignore[method-assign]  # production has no switch for it


if __name__ == "__main__":
    _run(*sys.argv[1:])
