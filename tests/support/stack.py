"""A whole stack in a process of its own, to be driven over HTTP and to have its processes killed."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psutil

from tallystick.stack.local_process import die_with_parent

ROOT = Path(__file__).parents[2]
UP = (sys.executable, "-m", "tallystick.cli", "up", "--json", "--port", "0", "--data")


class RunningStack:
    """Runs `tallystick up` on the folder within the `with` block, and leaves no process behind, however it ends.

    `options` go to `up` as they are; `command` replaces it altogether and gets the folder as its last argument.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        command: Sequence[str] = UP,
        environment: Mapping[str, str] | None = None,
        ready_seconds: float = 90.0,
    ) -> None:
        self.folder = folder
        self._command = [*command, str(folder), *options]
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
        self._ready_seconds = ready_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self.ready: dict[str, Any] = {}
        """The line that `up` printed when it was ready."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            self.kill()

    @property
    def api(self) -> str:
        return str(self.stack["api"])

    @property
    def stack(self) -> dict[str, Any]:
        """What `stack.json` says now; process ids change when something is restarted."""
        content: dict[str, Any] = json.loads((self.folder / "stack.json").read_text())
        return content

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the stack has not been started"
        return self._process

    def start(self) -> None:
        """Start `up`, also again after its end, and wait for its ready line; a failure shows what was said."""
        if self._process is not None:
            self._finished(0.0)
        with (self.folder.with_suffix(".up.log")).open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                # Should the tests themselves be killed, `up` stops everything in order.
                preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 -- only prctl runs in the child
            )
        try:
            self.ready = json.loads(self._read_line())
        except BaseException:
            self.kill()
            raise

    def _read_line(self) -> bytes:
        output = self.process.stdout
        assert output is not None
        readable, _, _ = select.select([output], [], [], self._ready_seconds)
        line = output.readline() if readable else b""
        assert line, f"the stack did not become ready:\n{self.said()}"
        return line

    def said(self) -> str:
        """What `up` wrote to its error stream."""
        return self.folder.with_suffix(".up.log").read_text()

    def kill_service(self, name: str) -> list[int]:
        """Kill the service with SIGKILL; return the process ids it had."""
        return _kill(self.stack["services"][name]["pids"])

    def kill_broker(self) -> list[int]:
        """Kill the broker with SIGKILL: the local one forgets everything."""
        return _kill(self.stack["infrastructure"]["kafka"]["pids"])

    def kill_postgres(self) -> list[int]:
        """Kill the postmaster and every backend with SIGKILL."""
        return _kill(self._postgres_pids())

    @contextmanager
    def frozen_postgres(self) -> Iterator[None]:
        """Let the postmaster and every backend stand still, as when their machine is paused."""
        frozen = _kill(self._postgres_pids(), signal.SIGSTOP)
        try:
            yield
        finally:
            _kill(frozen, signal.SIGCONT)

    @contextmanager
    def nobody_restarts(self) -> Iterator[None]:
        """Let `up` stand still, so that what ends in the meantime stays away until the block is over."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def stop_postgres_immediately(self) -> None:
        """Stop PostgreSQL as `pg_ctl stop -m immediate` does: no checkpoint, no good-bye; it recovers from its log."""
        os.kill(self.stack["infrastructure"]["postgres"]["pids"][0], signal.SIGQUIT)

    def stop_broker(self) -> None:
        """Ask the broker to end in order, as for a restart."""
        _kill(self.stack["infrastructure"]["kafka"]["pids"], signal.SIGTERM)

    def _postgres_pids(self) -> list[int]:
        postmaster = self.stack["infrastructure"]["postgres"]["pids"][0]
        with suppress(psutil.NoSuchProcess):
            return [postmaster, *(child.pid for child in psutil.Process(postmaster).children(recursive=True))]
        return []

    def wait_for(self, what: str, condition: Callable[[], bool], *, seconds: float = 30.0) -> None:
        """Wait until the condition holds; fail with `what` was waited for."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}\n{self.said()}"
            time.sleep(0.02)

    def stop(self, *, seconds: float = 60.0) -> int:
        """Ask `up` to stop and return its exit code."""
        self.process.terminate()
        return self._finished(seconds)

    def kill(self) -> None:
        """Kill `up` itself with SIGKILL and wait until everything it started is gone."""
        if self._process is None:
            return
        children = self.pids()
        self._process.kill()
        self._finished(10.0)
        deadline = time.monotonic() + 10.0
        while alive := alive_among(children):
            if time.monotonic() > deadline:
                _kill(alive)
            time.sleep(0.02)

    def everything(self) -> list[int]:
        """The process ids of `up` and of all that runs under it."""
        return [self.process.pid, *self.pids()]

    def kill_everything(self, everything: Sequence[int]) -> None:
        """Kill all of them with SIGKILL at once, as a machine does that loses its power."""
        _kill(everything)
        self._finished(10.0)
        self.wait_for("every process to end", lambda: not alive_among(everything))

    def pids(self) -> list[int]:
        """The ids of every live process under `up`."""
        with suppress(psutil.NoSuchProcess):
            return [child.pid for child in psutil.Process(self.process.pid).children(recursive=True)]
        return []

    def _finished(self, seconds: float) -> int:
        code = self.process.wait(seconds)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


def _kill(pids: Sequence[int], signal_number: signal.Signals = signal.SIGKILL) -> list[int]:
    killed = []
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal_number)
            killed.append(pid)
    return killed


def alive_among(pids: Sequence[int]) -> list[int]:
    """Those of the process ids that still run; an orphan which nobody has reaped yet does not."""
    return [pid for pid in pids if _runs(pid)]


def _runs(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False
