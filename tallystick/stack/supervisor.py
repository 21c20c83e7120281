"""Keeps a set of processes alive until it is asked to stop, then stops them in order.

Everything happens on one thread: the kernel binds a child's life to the thread that spawned it.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tallystick.stack.errors import StackError, StartFailed
from tallystick.stack.local_process import LocalProcess
from tallystick.stack.restarts import RestartPolicy
from tallystick.stack.wakeups import Wakeups

_READY_POLL_SECONDS = 0.03
_IDLE_SECONDS = 1.0
_QUICK_DEATHS_AT_START_MAX = 4


class StopAsked(Exception):
    """A person or the system asked the supervisor to stop."""


@dataclass
class _Child:
    process: LocalProcess
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    spawned_at: float = 0.0
    start_again_at: float | None = None
    returning: bool = False
    """It died, and has not been ready since."""


class Supervisor:
    """Spawns processes, starts those that die again, and stops all of them in the reverse order of their coming."""

    def __init__(self, wakeups: Wakeups, *, say: Callable[[str], None], on_restart: Callable[[], None]) -> None:
        """Watch nothing yet. `say` tells a person what happens; `on_restart` hears that process ids have changed."""
        self._wakeups = wakeups
        self._say = say
        self._on_restart = on_restart
        self._children: list[_Child] = []

    def add(self, process: LocalProcess) -> None:
        """Spawn the process and watch it from now on. Raises: StackError, OSError when it cannot even be spawned."""
        child = _Child(process, spawned_at=time.monotonic())
        self._children.append(child)
        process.spawn()

    def run_once(self, job: LocalProcess, *, timeout_seconds: float) -> None:
        """Run a process that ends by itself, watching the others meanwhile.

        Raises:
            StartFailed: it failed or took too long.
            StopAsked: a stop was asked for; the job is killed.
        """
        deadline = time.monotonic() + timeout_seconds
        job.spawn()
        try:
            while job.is_alive():
                if time.monotonic() > deadline:
                    raise StartFailed(job.failure(f"did not end within {timeout_seconds:.0f} s"))
                self._turn(_READY_POLL_SECONDS)
        finally:
            job.kill()
        if job.exit_code != 0:
            raise StartFailed(job.failure(f"failed (exit code {job.exit_code})"))

    def wait_until_ready(self, processes: Sequence[LocalProcess], *, timeout_seconds: float) -> None:
        """Return when all of them serve, starting again what dies meanwhile.

        Raises:
            StartFailed: one keeps dying, or is not ready in time; the text ends with the end of its log.
            StopAsked: a stop was asked for.
        """
        deadline = time.monotonic() + timeout_seconds
        waiting = list(processes)
        while waiting := [process for process in waiting if not process.is_ready()]:
            for child in self._children:
                if child.policy.quick_deaths > _QUICK_DEATHS_AT_START_MAX:
                    raise StartFailed(child.process.failure("keeps ending while starting"))
            if time.monotonic() > deadline:
                raise StartFailed(waiting[0].failure(f"was not ready within {timeout_seconds:.0f} s"))
            self._turn(_READY_POLL_SECONDS)

    def watch(self) -> None:
        """Keep everything alive for ever. Raises: StopAsked, the only way out."""
        while True:
            due = [child.start_again_at for child in self._children if child.start_again_at is not None]
            self._turn(min([_IDLE_SECONDS, *(moment - time.monotonic() for moment in due)]))

    def stop_all(self) -> None:
        """Stop the last one added first; each gets its own bounded time before it is killed."""
        while self._children:
            self._children.pop().process.stop()

    def _turn(self, seconds: float) -> None:
        self._wakeups.wait(seconds)
        if self._wakeups.stop_asked:
            raise StopAsked
        for child in self._children:
            if child.start_again_at is None and not child.process.is_alive():
                self._schedule(child)
            if child.start_again_at is not None and child.start_again_at <= time.monotonic():
                self._start_again(child)
            if child.returning and child.process.is_alive() and child.process.is_ready():
                child.returning = False
                self._say(f"{child.process.name} is ready again")

    def _schedule(self, child: _Child) -> None:
        now = time.monotonic()
        delay_seconds = child.policy.delay_after(now - child.spawned_at)
        child.start_again_at = now + delay_seconds
        child.returning = True
        when = f"in {delay_seconds:.2g} s" if delay_seconds else "now"
        self._say(f"{child.process.name} ended (exit code {child.process.exit_code}), starting it again {when}")

    def _start_again(self, child: _Child) -> None:
        child.spawned_at = time.monotonic()
        child.start_again_at = None
        # What cannot be spawned now, for want of memory or a file, counts as dead at once: the next turn tries again.
        with suppress(StackError, OSError):
            child.process.spawn()
        self._on_restart()
