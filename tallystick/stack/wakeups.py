"""Signals as something a loop can wait for: a child ended, or a person asked to stop."""

import select
import signal
import socket
from types import FrameType
from typing import Self

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Wakeups:
    """Within the `with` block, sleeps end early when a child dies or a stop is asked for. Main thread only."""

    def __init__(self) -> None:
        """Nothing is installed before the block is entered."""
        self.stop_asked = False
        self._reader, self._writer = socket.socketpair()

    def __enter__(self) -> Self:
        """Install the handlers. They stay: a late signal must not end us with children still alive."""
        self._reader.settimeout(0)
        self._writer.settimeout(0)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for stop in _STOP_SIGNALS:
            signal.signal(stop, self._ask_to_stop)
        signal.signal(signal.SIGCHLD, _ignore)  # a handler, so that the wake-up byte is written
        return self

    def __exit__(self, *_: object) -> None:
        """Give the descriptors back."""
        signal.set_wakeup_fd(-1)
        self._reader.close()
        self._writer.close()

    def wait(self, seconds: float) -> None:
        """Sleep up to this long; return early when a signal arrives or has arrived since the last call."""
        readable, _, _ = select.select([self._reader], [], [], max(0.0, seconds))
        if readable:
            self._reader.recv(4096)

    def _ask_to_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stop_asked = True


def _ignore(_signal: int, _frame: FrameType | None) -> None:
    return
