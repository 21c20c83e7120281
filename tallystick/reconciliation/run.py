"""One reconciliation of a stack, from the command line's process."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from libs.common.clock import system_clock
from services.ledger.domain.reconciliation import Reconciliation, Scope
from services.ledger.store.reconciling import Looking
from services.ledger.use_cases.compare_projections import CompareProjections
from services.ledger.use_cases.rebuild_projections import RebuildProjections
from services.ledger.use_cases.reconcile_books import GRACE_SECONDS, ReconcileBooks, nobody
from tallystick.reconciliation.neighbours import neighbours_of
from tallystick.stack.stack_file import Stack


class Tools(NamedTuple):
    """What looks, and what mends."""

    reconcile: ReconcileBooks
    rebuild: RebuildProjections


@asynccontextmanager
async def tools_for(dsn: str, stack: Stack | None) -> AsyncIterator[Tools]:
    """Lend the tools for the ledger behind this administrator's DSN, and the neighbours of the stack."""
    async with neighbours_of(stack) as neighbours:
        looking = Looking(dsn)
        compare = CompareProjections(looking, neighbours)
        yield Tools(ReconcileBooks(looking, compare, system_clock), RebuildProjections(dsn, compare, neighbours))


async def reconcile(
    dsn: str,
    stack: Stack | None = None,
    *,
    scope: Scope = "all",
    account_id: str = "",
    grace_seconds: float = GRACE_SECONDS,
    progress: Callable[[str, int, int], None] = nobody,
) -> Reconciliation:
    """Run one reconciliation. Raises: asyncpg.PostgresError or OSError when the database cannot be read."""
    async with tools_for(dsn, stack) as tools:
        return await tools.reconcile(scope, account_id=account_id, grace_seconds=grace_seconds, progress=progress)
