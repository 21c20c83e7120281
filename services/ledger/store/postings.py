"""One batch of the ledger in one commit, with a constant number of statements whatever its size."""

import asyncio
from collections.abc import Callable

from libs.common.audit.audit_log import append_entries
from libs.common.crash_points import reached
from libs.common.db.hot import HotConnection
from services.ledger.store.batch import Batch, Sealed
from services.ledger.store.journal import write_journal
from services.ledger.store.later_states import write_later_states
from services.ledger.store.money import entry_columns, money_columns, write_money


async def write_batch(hot: HotConnection, batch: Batch, seal: Callable[[], Sealed]) -> Sealed:
    """Write the batch, all or nothing. `seal` is called once; of a large batch while PostgreSQL is busy with the money.

    Commits: head, accounts, entries, transfers, journal, tiles, block, checkpoint, published mark, audit entries.
    Raises: HeadMoved; asyncpg.UniqueViolationError of `TRANSFER_KNOWN` when one of the new transfers was decided
    before; Unavailable, after which it is not known whether it was written.
    """
    if batch.fits_one_statement:
        return await _write_at_once(hot, batch, seal())
    async with hot.transaction() as connection:
        money = asyncio.create_task(write_money(connection, batch), name="ledger-money")
        try:
            # The statement leaves at the end of the loop's round in which the task starts; hashing before that would
            # keep PostgreSQL waiting instead of working beside us.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            sealed = seal()
        finally:
            await money
        if not batch.decisions.only_inserts:
            await write_later_states(connection, batch)
        await write_journal(connection, batch, sealed)
        if batch.audited:
            await append_entries(connection, "ledger", batch.audited)
        reached("ledger.before_commit")
    return sealed


async def _write_at_once(hot: HotConnection, batch: Batch, sealed: Sealed) -> Sealed:
    """Write and commit in one round trip: of a small batch, BEGIN and COMMIT would be half the time."""
    money = money_columns(batch, entry_columns(batch))
    async with hot.autocommit() as connection:
        reached("ledger.before_commit")
        await write_journal(connection, batch, sealed, money)
    return sealed
