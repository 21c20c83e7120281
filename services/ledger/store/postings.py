"""One batch of the ledger in one transaction, with a constant number of statements whatever its size."""

import asyncio
from collections.abc import Callable

from libs.common.crash_points import reached
from libs.common.db.hot import HotConnection
from services.ledger.store.batch import Batch, Sealed
from services.ledger.store.journal import write_journal
from services.ledger.store.money import write_money


async def write_batch(hot: HotConnection, batch: Batch, seal: Callable[[], Sealed]) -> Sealed:
    """Write the batch, all or nothing. `seal` is called once, while PostgreSQL is busy with the money.

    A small batch is four round trips: BEGIN, the money, the journal with its seal, COMMIT.
    Commits: head, accounts, entries, transfers, journal, tiles, block, checkpoint, published mark.
    Raises: HeadMoved; asyncpg.UniqueViolationError of `TRANSFER_KNOWN` when one of the new transfers was decided
    before; Unavailable, after which it is not known whether it was written.
    """
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
        await write_journal(connection, batch, sealed)
        reached("ledger.before_commit")
    return sealed
