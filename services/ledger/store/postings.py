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
from services.ledger.store.copied_rows import ENTRIES, JOURNAL, TRANSFERS, entry_rows, record_rows, transfer_rows
from services.ledger.store.journal import write_journal
from services.ledger.store.later_states import write_later_states
from services.ledger.store.money import money_columns, write_money

_Made = TypeVar("_Made")


async def write_batch(hot: HotConnection, batch: Batch, seal: Callable[[], Sealed]) -> Sealed:
    """Write the batch, all or nothing. `seal` is called once; of a large batch while PostgreSQL is busy with the money.

    Commits: head, accounts, entries, transfers, journal, tiles, block, checkpoint, published mark, audit entries.
    Raises: HeadMoved; asyncpg.UniqueViolationError of `TRANSFER_KNOWN` when one of the new transfers was decided
    before; Unavailable, after which it is not known whether it was written.
    """
    if batch.fits_one_statement:
        return await _write_at_once(hot, batch, seal())
    async with hot.transaction() as connection:
        if batch.is_copied:
            sealed = await _copy(connection, batch, seal)
        else:
            await write_money(connection, batch)
            sealed = seal()
        if not batch.decisions.only_inserts:
            await write_later_states(connection, batch)
        await write_journal(connection, batch, sealed)
        if batch.audited:
            await append_entries(connection, "ledger", batch.audited)
        reached("ledger.before_commit")
    return sealed


async def _copy(connection: asyncpg.Connection, batch: Batch, seal: Callable[[], Sealed]) -> Sealed:
    """Write accounts, entries, transfers and records; most of it is made while PostgreSQL is busy with the accounts.

    Not while entries or records are on their way: they are larger than a socket's buffer, and what does not fit waits
    until the loop comes round again.
    """
    sealed, entries, transfers = await _meanwhile(
        write_money(connection, batch), lambda: (seal(), entry_rows(batch), transfer_rows(batch))
    )
    await copy_rows(connection, "ledger", "entries", ENTRIES, entries)
    records = await _meanwhile(
        copy_rows(connection, "ledger", "transfers", TRANSFERS, transfers), lambda: record_rows(batch, sealed)
    )
    await copy_rows(connection, "ledger", "journal", JOURNAL, records)
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
