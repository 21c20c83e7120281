"""Verifications that staff ask for: one at a time in the background, with what became of the last few."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

import structlog

from libs.common.errors import Conflict, NotFound, TallystickError
from libs.common.ids import new_id
from services.ledger.audit.findings import CannotVerify, Scope, Verification
from services.ledger.use_cases.run_verification import RunVerification

_KEPT: Final = 20
_SECONDS_MAX: Final = 3_600.0

log = structlog.get_logger()


@dataclass(slots=True)
class Running:
    """One verification. `done` of `total` records are checked; `found` is there once it is finished."""

    verification_id: str
    scope: Scope
    began: float
    state: Literal["running", "finished", "failed"] = "running"
    done: int = 0
    total: int = 0
    found: Verification | None = None
    reason: str = ""
    finished: asyncio.Event = field(default_factory=asyncio.Event)


class VerifyOnRequest:
    """Starts them and knows how they go. Each process knows its own."""

    def __init__(self, run: RunVerification, monotonic_seconds: Callable[[], float]) -> None:
        """Begin with none."""
        self._run = run
        self._monotonic_seconds = monotonic_seconds
        self._runs: dict[str, Running] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self, scope: Scope, subject_id: str, *, wait_seconds: float) -> Running:
        """Start one and wait a moment for it. Raises: Conflict (verification_running)."""
        if self._task is not None and not self._task.done():
            raise Conflict("verification_running", "Another verification is under way; ask again when it has ended.")
        running = Running(new_id(), scope, self._monotonic_seconds())
        self._runs[running.verification_id] = running
        for old in list(self._runs)[:-_KEPT]:
            del self._runs[old]
        self._task = asyncio.create_task(self._verify(running, subject_id), name="ledger-verification")
        try:
            async with asyncio.timeout(wait_seconds):
                await running.finished.wait()
        except TimeoutError:
            return running  # it goes on, and can be asked for
        return running

    def look(self, verification_id: str) -> Running:
        """Return one by its id. Raises: NotFound (verification_not_found)."""
        running = self._runs.get(verification_id)
        if running is None:
            raise NotFound("verification_not_found", "This process has not run such a verification lately.")
        return running

    async def stop(self) -> None:
        """End the one that is under way; nothing of it is kept."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _verify(self, running: Running, subject_id: str) -> None:
        def note(done: int, total: int) -> None:
            running.done, running.total = done, total

        try:
            running.found, _ = await self._run(
                running.scope,
                subject_id=subject_id,
                seconds_max=_SECONDS_MAX,
                progress=note,
                verification_id=running.verification_id,
            )
            running.state = "finished"
        except (CannotVerify, TallystickError) as failure:
            running.state, running.reason = "failed", str(failure)
            log.warning("verification_failed", verification_id=running.verification_id, cause=str(failure))
        finally:
            running.finished.set()
