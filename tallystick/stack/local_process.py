"""One operating-system process of the stack: started, killed, started again and stopped on the same address."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from tallystick.stack.errors import StartFailed
from tallystick.stack.forked_process import ForkedProcess

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_LOG_BYTES_MAX = 20 * 1024 * 1024
_LOG_TAIL_LINES = 15
_READY_POLL_SECONDS = 0.02


Command = Sequence[str] | Callable[[], object]
"""A program with its arguments, or what a fork of this process does."""
Running = subprocess.Popen[bytes] | ForkedProcess


class LocalProcess(ABC):
    """A server on this machine which keeps its address and data from one start to the next.

    It lives in a session of its own, so a Ctrl-C at the terminal reaches only the supervisor, and on Linux it dies
    with the thread that spawned it: spawn from the main thread.
    """

    stop_signal: signal.Signals = signal.SIGTERM
    """Asks the process to end in order."""
    stop_patience_seconds: float = 10.0
    """How long `stop` waits before it kills."""

    def __init__(self, name: str, log_file: Path) -> None:
        """Name the process and its log; nothing is started."""
        self.name = name
        self.log_file = log_file
        self.process: Running | None = None
        self.exit_code: int | None = None
        """Of the last process that ended; negative: the signal that ended it."""

    @abstractmethod
    def command(self) -> Command:
        """Return the program and its arguments, or a function for a fork of this process."""

    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """Return the whole environment of the process."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the process serves now; returns quickly and never raises."""

    def prepare(self) -> None:
        """Put files in place before a spawn. A long log makes room; the one before it is kept."""
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        if self.log_file.exists() and self.log_file.stat().st_size > _LOG_BYTES_MAX:
            self.log_file.replace(self.log_file.with_suffix(".log.old"))

    def working_folder(self) -> Path | None:
        """Return the folder the process runs in; None means the caller's."""
        return None

    def before_exec(self) -> Callable[[], None] | None:
        """Return what runs in the child between fork and exec; by default it arranges to die with its parent."""
        return die_with_parent(signal.SIGKILL)

    def spawn(self) -> None:
        """Start the process without waiting for readiness."""
        self.prepare()
        with self.log_file.open("ab") as log:
            self.process = self._launch(log)

    def _launch(self, log: IO[bytes]) -> Running:
        command, environment, folder = self.command(), dict(self.environment()), self.working_folder()
        # Only prctl runs in the child, through a library handle opened before the fork.
        before = self.before_exec()
        if callable(command):
            return ForkedProcess(
                command, name=self.name, environment=environment, folder=folder, log=log.fileno(), before=before
            )
        return subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=before,  # noqa: PLW1509 -- see above
        )

    def start(self, timeout_seconds: float = 30.0) -> None:
        """Start the process and return when it serves. Raises: StartFailed with the end of its log."""
        self.spawn()
        deadline = time.monotonic() + timeout_seconds
        while not self.is_ready():
            if not self.is_alive():
                raise StartFailed(self.failure("ended while starting"))
            if time.monotonic() > deadline:
                self.kill()
                raise StartFailed(self.failure(f"was not ready after {timeout_seconds:.0f} s"))
            time.sleep(_READY_POLL_SECONDS)

    def is_alive(self) -> bool:
        """Whether the process has been spawned and has not ended. Takes leave of it when it has."""
        if self.process is None:
            return False
        if self.process.poll() is None:
            return True
        self._bury()
        return False

    def pids(self) -> list[int]:
        """Return the live process ids, the main one first."""
        return [self.process.pid] if self.process is not None and self.is_alive() else []

    def kill(self) -> None:
        """End the process and its group with SIGKILL, as a power cut would. Does nothing when it is not alive."""
        if self.process is not None and self.is_alive():
            self.process.kill()
            self.process.wait()
            self._bury()

    def stop(self) -> None:
        """Ask the process to end, wait a bounded time, then kill what is left of it."""
        if self.process is None or not self.is_alive():
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(self.stop_patience_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        else:
            self._bury()

    def failure(self, what: str) -> str:
        """Say what went wrong with the process, with the end of its log."""
        tail = self.log_file.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return "\n".join([f"{self.name} {what}; see {self.log_file}", *(f"  {line}" for line in tail)])

    def _bury(self) -> None:
        """Forget the ended process and end whatever it left in its group, at once: its id is soon somebody else's."""
        if self.process is not None:
            with suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
                os.killpg(self.process.pid, signal.SIGKILL)
            self.exit_code = self.process.returncode
            self.process = None


def die_with_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    """Return a function for the child that asks the kernel for the signal when its parent ends; Linux alone can."""
    if _LIBC is None:
        return None
    prctl, parent = _LIBC.prctl, os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # it ended before we asked, so no signal will ever come
            os._exit(1)

    return ask
