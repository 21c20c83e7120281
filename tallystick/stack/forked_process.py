"""A child of this very process that runs a function: it finds imported what a new interpreter would import anew.

A service spends two seconds of CPU on imports, most of them the same in all five. Only for a parent of one thread:
whatever lock another thread held would stay held in the child.
"""

import gc
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from tallystick.stack.errors import StackError

CAN_FORK: Final = sys.platform == "linux"
"""On macOS the system's own libraries do not outlive a fork."""
_POLL_SECONDS: Final = 0.005


class ForkedProcess:
    """What `subprocess.Popen` is to a program, as far as `LocalProcess` asks for it."""

    def __init__(
        self,
        run: Callable[[], object],
        *,
        name: str,
        environment: Mapping[str, str],
        folder: Path | None,
        log: int,
        before: Callable[[], None] | None,
    ) -> None:
        """Fork; `run` sees this environment and folder, and writes into the open file `log`. When it returns, it ends.

        `name` is what `ps` and `top` call it, up to 15 letters. `before` runs in the child first, as in `Popen`.

        Raises: StackError when this process has more than one thread.
        """
        if len(list(Path("/proc/self/task").iterdir())) > 1:
            raise StackError("a process of several threads cannot be forked")
        sys.stdout.flush()
        sys.stderr.flush()
        gc.freeze()  # else the child's first collection would copy every page of what it shares
        self.returncode: int | None = None
        # A signal that comes before the child has forgotten our handlers waits until it has.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self.pid = os.fork()
            if self.pid == 0:
                _live(run, partial(_become, name, environment, folder, log, before))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while the child lives."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code when the child has ended. Raises: subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(_POLL_SECONDS)
        return code

    def send_signal(self, sig: int) -> None:
        """Signal the child, if it lives."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        """End the child with SIGKILL, if it lives."""
        self.send_signal(signal.SIGKILL)


def _live(run: Callable[[], object], become: Callable[[], None]) -> NoReturn:
    """Be the child. Never returns: the parent's frames below this one are not ours to unwind."""
    code = 1
    try:
        become()
        run()
        code = 0
    except SystemExit as ended:
        code = _code_of(ended)
    except BaseException:  # noqa: BLE001 -- the last frame of this process: what came here is told, and it ends
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _become(
    name: str, environment: Mapping[str, str], folder: Path | None, log: int, before: Callable[[], None] | None
) -> None:
    """Leave the parent's session, signals, files and environment, as a program does that is executed."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if before is not None:
        before()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(environment)
    if folder is not None:
        os.chdir(folder)
        sys.path.insert(0, str(folder))
    Path("/proc/self/comm").write_text(name)


def _code_of(ended: SystemExit) -> int:
    if isinstance(ended.code, str):
        sys.stderr.write(f"{ended.code}\n")
        return 1
    return ended.code or 0
