"""One batch of the ledger in one commit, with a constant number of statements whatever its size."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

import asyncpg

from libs.common.audit.audit_log import append_entries
from libs.common.crash_points import reached
from libs.common.db.copy_rows import copy_rows
from libs.common.db.hot import HotConnection
from services.ledger.store.batch import Batch, Sealed
from services.ledger.store.copied_rows import ENTRIES, JOURNAL, TRANSFERS, CopiedRows
from services.ledger.store.journal import write_journal
from services.ledger.store.later_states import write_later_states
from services.ledger.store.money import lock_head, money_columns, write_money

_Made = TypeVar("_Made")


async def write_batch(
    hot: HotConnection, batch: Batch, seal: Callable[[], Sealed], prepare: Callable[[], None]
) -> Sealed:
    """Write the batch, all or nothing; what is undecided of it is decided meanwhile.

    `seal` is called once, when all is decided, and `prepare` after it, which gets ready what is done after the commit;
    of a large batch both while PostgreSQL is busy.
    Commits: head, accounts, entries, transfers, journal, tiles, block, checkpoint, published mark, audit entries.
    Raises: HeadMoved; asyncpg.UniqueViolationError of `TRANSFER_KNOWN` when one of the new transfers was decided
    before; Unavailable, after which it is not known whether it was written.
    """
    if batch.fits_one_statement:
        sealed = await _write_at_once(hot, batch, seal())
        prepare()
        return sealed
    async with hot.transaction() as connection:
        if batch.is_copied:
            sealed = await _copy(connection, batch, seal, prepare)
        else:
            await write_money(connection, batch)
            sealed = seal()
            prepare()
        if not batch.decisions.only_inserts:
            await write_later_states(connection, batch)
        await write_journal(connection, batch, sealed)
        if batch.audited:
            await append_entries(connection, "ledger", batch.audited)
        reached("ledger.before_commit")
    return sealed


async def _copy(
    connection: asyncpg.Connection, batch: Batch, seal: Callable[[], Sealed], prepare: Callable[[], None]
) -> Sealed:
    """Write accounts, entries, transfers and records, so that PostgreSQL and this process work beside each other.

    Of a batch that is still to be decided, entries go first: they are there as soon as its first transfers are decided.
    """
    rows = CopiedRows(batch)
    if batch.undecided is not None:
        await lock_head(connection, batch)
        await copy_rows(connection, "ledger", "entries", ENTRIES, rows.entries())
    sealed, transfers, left = await _meanwhile(
        write_money(connection, batch), lambda: (seal(), rows.transfers(), list(rows.entries()))
    )
    if left:
        await copy_rows(connection, "ledger", "entries", ENTRIES, left)
    await _meanwhile(copy_rows(connection, "ledger", "transfers", TRANSFERS, [transfers]), prepare)
    await copy_rows(connection, "ledger", "journal", JOURNAL, rows.records(sealed))
    return sealed


async def _meanwhile(writing: Coroutine[None, None, None], make: Callable[[], _Made]) -> _Made:
    """Return what is made while PostgreSQL is busy with the writing. Raises: what either does; the writing is over."""
    task = asyncio.create_task(writing, name="ledger-writing")
    try:
        # What is written leaves at the end of the loop's round in which the task starts; work before that would keep
        # PostgreSQL waiting instead of going on beside it.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return make()
    finally:
        await task


async def _write_at_once(hot: HotConnection, batch: Batch, sealed: Sealed) -> Sealed:
    """Write and commit in one round trip: of a small batch, BEGIN and COMMIT would be half the time."""
    async with hot.autocommit() as connection:
        reached("ledger.before_commit")
        await write_journal(connection, batch, sealed, money_columns(batch))
    return sealed
