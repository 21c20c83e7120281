"""Reconcile in the background, and keep what was found: at start, every night, and when somebody asks."""

import asyncio
from typing import Final, Literal, TypeAlias

import asyncpg
import structlog

from libs.common.clock import Clock
from libs.common.db.hot import HotConnection
from libs.common.errors import Conflict, Unavailable
from libs.common.ids import new_id
from services.ledger.domain.nights import is_due
from services.ledger.domain.reconciliation import Reconciliation, report_of
from services.ledger.metrics import RECONCILIATION_DIFFERENCES, RECONCILIATION_ENDED, RECONCILIATIONS
from services.ledger.store.reconciliations import (
    Cause,
    Verdict,
    begin_run,
    end_run,
    last_nightly_began_at,
    last_whole_ended_at,
)
from services.ledger.store.reconciling import Looking
from services.ledger.use_cases.reconcile_books import ReconcileBooks

BackgroundScope: TypeAlias = Literal["all", "sample"]

log = structlog.get_logger()

_KEPT_MAX: Final = 100
"""Most differences of one check that are kept with a run."""


class RunReconciliations:
    """Runs one at a time, of all processes together. Results are rows that are never changed."""

    def __init__(self, hot: HotConnection, looking: Looking, reconcile: ReconcileBooks, clock: Clock) -> None:
        """Use a connection of its own for what is kept."""
        self._hot = hot
        self._looking = looking
        self._reconcile = reconcile
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, asked_by: str) -> str:
        """Begin a whole run for this user and return its id at once.

        Raises: Conflict reconciliation_running; Unavailable.
        """
        run_id = await self._begin("all", "request", asked_by)
        if run_id is None:
            raise Conflict("reconciliation_running", "A reconciliation is under way; look at its result first.")
        return run_id

    async def sample_once(self) -> None:
        """Look at what moved last, as a process starts. Another run under way is enough. Raises: Unavailable.

        When the last whole one ended outlives the process; where there was none, the process's start stands for it.
        """
        async with self._hot.autocommit() as connection:
            ended_at = await last_whole_ended_at(connection)
        RECONCILIATION_ENDED.set((ended_at or self._clock()).timestamp())
        await self._begin("sample", "start", None)

    async def nightly(self) -> None:
        """Begin the night's whole run if it is due. Raises: Unavailable."""
        async with self._hot.autocommit() as connection:
            last = await last_nightly_began_at(connection)
        if is_due(self._clock(), last):
            await self._begin("all", "nightly", None)

    async def stop(self) -> None:
        """End what is under way; its run keeps no result."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def finished(self) -> None:
        """Wait until nothing is under way in this process."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _begin(self, scope: BackgroundScope, cause: Cause, asked_by: str | None) -> str | None:
        """Return the new run's id, None while another process or this one is at it."""
        try:
            alone = await self._looking.alone()
        except (OSError, asyncpg.PostgresError) as failure:
            raise Unavailable("database_unavailable", "The database cannot be asked; try again.") from failure
        if alone is None:
            return None
        run_id = new_id()
        try:
            async with self._hot.autocommit() as connection:
                await begin_run(connection, run_id, scope, cause, asked_by, self._clock())
        except BaseException:
            await alone.close()
            raise
        task = asyncio.create_task(self._run(run_id, scope, alone), name=f"reconciliation-{run_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return run_id

    async def _run(self, run_id: str, scope: BackgroundScope, alone: asyncpg.Connection) -> None:
        try:
            run = await self._reconcile(scope, run_id=run_id)
            verdict = _verdict(run)
            _measure(run, verdict)
            if not run.agrees:
                checks = sorted({outcome.name for outcome in run.outcomes if outcome.differences})
                log.error("reconciliation_differs", run_id=run_id, checks=checks, differences=run.differences)
            await self._end(run_id, verdict, run.differences, report_of(run, shown_max=_KEPT_MAX))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as failure:
            log.warning("reconciliation_failed", run_id=run_id, cause=repr(failure))
            await self._end(run_id, "failed", 0, {"cause": type(failure).__name__})
        finally:
            alone.terminate()

    async def _end(self, run_id: str, verdict: Verdict, differences: int, report: object) -> None:
        try:
            async with self._hot.autocommit() as connection:
                await end_run(connection, run_id, verdict, differences, report, self._clock())
        except Unavailable as failure:
            log.warning("reconciliation_not_kept", run_id=run_id, code=failure.code)


def _verdict(run: Reconciliation) -> Verdict:
    if not run.agrees:
        return "differs"
    return "incomplete" if any(outcome.skipped for outcome in run.outcomes) else "agrees"


def _measure(run: Reconciliation, verdict: Verdict) -> None:
    RECONCILIATIONS.labels(run.scope, verdict).inc()
    for outcome in run.outcomes:
        if outcome.verdict != "skipped":
            RECONCILIATION_DIFFERENCES.labels(outcome.name).set(len(outcome.differences))
    if run.scope == "all" and verdict != "incomplete":
        RECONCILIATION_ENDED.set_to_current_time()
