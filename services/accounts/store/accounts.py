"""Accounts in and out of `accounts.accounts`."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import DateTime, Row, column, func, insert, or_, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.ids import is_id
from services.accounts.domain.account import Account
from services.accounts.store.tables import ACCOUNT_SERIALS, ACCOUNTS

_COLUMNS: Final = (
    ACCOUNTS.c.account_id,
    ACCOUNTS.c.account_number,
    ACCOUNTS.c.owner_id,
    ACCOUNTS.c.asset,
    ACCOUNTS.c.status,
    ACCOUNTS.c.is_primary,
    ACCOUNTS.c.version,
    ACCOUNTS.c.created_at,
    ACCOUNTS.c.opened_at,
    ACCOUNTS.c.changed_at,
    ACCOUNTS.c.ledger_status,
    ACCOUNTS.c.name,
    ACCOUNTS.c.metadata,
)
_DELETED_OF: Final = text(
    f"SELECT {', '.join(one.name for one in _COLUMNS)}, deleted_at FROM accounts.deleted_accounts_of("  # noqa: S608 -- names of columns
    "CAST(:owner_id AS uuid), CAST(:after AS uuid), :limit)"
).columns(*_COLUMNS, column("deleted_at", DateTime(timezone=True)))
_CLOSED: Final = or_(ACCOUNTS.c.status == "closed", ACCOUNTS.c.ledger_status == "closed")


async def next_serial(connection: AsyncConnection) -> int:
    """Return a serial nobody else gets; serials of transactions that fail are lost, numbers may have gaps."""
    return int((await connection.execute(select(ACCOUNT_SERIALS.next_value()))).scalar_one())


async def find_primary(connection: AsyncConnection, owner_id: str) -> Account | None:
    """Return the customer's primary account. It stays that only for as long as his row is locked."""
    statement = select(*_COLUMNS).where(ACCOUNTS.c.owner_id == owner_id, ACCOUNTS.c.is_primary)
    row = (await connection.execute(statement)).first()
    return _account(row) if row else None


async def count_open_accounts(connection: AsyncConnection, owner_id: str, asset: str) -> int:
    """Return how many accounts of the asset the customer has that are not closed; exact while his row is locked."""
    statement = select(func.count()).where(ACCOUNTS.c.owner_id == owner_id, ACCOUNTS.c.asset == asset, ~_CLOSED)
    return int((await connection.execute(statement)).scalar_one())


async def insert_account(connection: AsyncConnection, account: Account, ask_again_at: datetime) -> None:
    """Store a new account; `ask_again_at` is when the ledger is asked a second time."""
    await connection.execute(
        insert(ACCOUNTS).values(
            account_id=account.account_id,
            account_number=account.account_number,
            owner_id=account.owner_id,
            asset=account.asset,
            status=account.status,
            is_primary=account.is_primary,
            version=account.version,
            created_at=account.created_at,
            changed_at=account.changed_at,
            name=account.name,
            metadata=dict(account.metadata),
            asks=1,
            ask_again_at=ask_again_at,
        )
    )


async def find_account(connection: AsyncConnection, account_id: str) -> Account | None:
    """Return the account, unlocked; a text that is no id is no account's."""
    if not is_id(account_id):
        return None
    row = (await connection.execute(select(*_COLUMNS).where(ACCOUNTS.c.account_id == account_id))).first()
    return _account(row) if row else None


async def find_accounts(connection: AsyncConnection, account_ids: Collection[str]) -> Sequence[Account]:
    """Return those of the accounts that there are, unlocked, in no order; a text that is no id is no account's."""
    ids = [account_id for account_id in account_ids if is_id(account_id)]
    return [_account(row) for row in await connection.execute(select(*_COLUMNS).where(ACCOUNTS.c.account_id.in_(ids)))]


async def read_accounts_of(
    connection: AsyncConnection, owner_id: str, after: str | None, limit: int
) -> Sequence[Account]:
    """Return a page of a customer's accounts in the order of their ids, which is the order of their making."""
    statement = select(*_COLUMNS).where(ACCOUNTS.c.owner_id == owner_id)
    if after is not None:
        statement = statement.where(ACCOUNTS.c.account_id > after)
    return [_account(row) for row in await connection.execute(statement.order_by(ACCOUNTS.c.account_id).limit(limit))]


async def read_deleted_accounts_of(
    connection: AsyncConnection, owner_id: str, after: str, limit: int
) -> Sequence[tuple[Account, datetime]]:
    """Return a page of (account, when it was deleted) of a customer's: those no other statement sees."""
    rows = await connection.execute(_DELETED_OF, {"owner_id": owner_id, "after": after, "limit": limit})
    return [(_account(row), row.deleted_at) for row in rows]


async def lock_accounts(connection: AsyncConnection, account_ids: Collection[str]) -> Sequence[Account]:
    """Return the accounts, locked in the order of their ids; a text that is no id is no account's."""
    ids = [account_id for account_id in account_ids if is_id(account_id)]
    statement = select(*_COLUMNS).where(ACCOUNTS.c.account_id.in_(ids)).order_by(ACCOUNTS.c.account_id)
    return [_account(row) for row in await connection.execute(statement.with_for_update(key_share=True))]


async def set_primary(connection: AsyncConnection, account_id: str, *, is_primary: bool) -> None:
    """Store whether the account is its owner's primary; unset the one before first, there may be one at a time."""
    statement = update(ACCOUNTS).where(ACCOUNTS.c.account_id == account_id)
    await connection.execute(statement.values(is_primary=is_primary))


async def read_owners(connection: AsyncConnection, account_ids: Collection[str]) -> Sequence[str]:
    """Return who owns these accounts, each once, lower id first."""
    statement = select(ACCOUNTS.c.owner_id).distinct().where(ACCOUNTS.c.account_id.in_(account_ids))
    return (await connection.execute(statement.order_by(ACCOUNTS.c.owner_id))).scalars().all()


async def find_oldest_open(connection: AsyncConnection, owner_id: str) -> Account | None:
    """Return the customer's oldest account that is not closed."""
    statement = select(*_COLUMNS).where(ACCOUNTS.c.owner_id == owner_id, ~_CLOSED).order_by(ACCOUNTS.c.account_id)
    row = (await connection.execute(statement.limit(1))).first()
    return _account(row) if row else None


async def describe(connection: AsyncConnection, account_id: str, description: Mapping[str, object]) -> Account:
    """Store name, metadata or both and return the account; others are told neither, so no new version."""
    statement = update(ACCOUNTS).where(ACCOUNTS.c.account_id == account_id).values(**description)
    return _account((await connection.execute(statement.returning(*_COLUMNS))).one())


async def read_open_accounts(connection: AsyncConnection, owner_id: str) -> Sequence[Account]:
    """Return the customer's accounts that are not closed. They stay all there are while his row is locked."""
    statement = select(*_COLUMNS).where(ACCOUNTS.c.owner_id == owner_id, ACCOUNTS.c.status != "closed")
    return [_account(row) for row in await connection.execute(statement.order_by(ACCOUNTS.c.account_id))]


async def close_accounts(connection: AsyncConnection, owner_id: str, now: datetime) -> Sequence[Account]:
    """Store that the customer's accounts are closed, none of them primary, and return them as they are then."""
    values = {"status": "closed", "is_primary": False, "version": ACCOUNTS.c.version + 1, "changed_at": now}
    statement = update(ACCOUNTS).where(ACCOUNTS.c.owner_id == owner_id, ACCOUNTS.c.status != "closed")
    return [_account(row) for row in await connection.execute(statement.values(values).returning(*_COLUMNS))]


async def lock_opening_accounts(connection: AsyncConnection, account_ids: Collection[str]) -> Sequence[Account]:
    """Return those of the accounts that are still opening, locked in the order of their ids."""
    statement = select(*_COLUMNS).where(ACCOUNTS.c.account_id.in_(account_ids), ACCOUNTS.c.status == "opening")
    statement = statement.order_by(ACCOUNTS.c.account_id).with_for_update(key_share=True)
    return [_account(row) for row in await connection.execute(statement)]


async def activate(connection: AsyncConnection, account_ids: Collection[str], now: datetime) -> Sequence[Account]:
    """Store that the ledger opened these accounts, each a version further, and return them as they are then."""
    values = {"status": "active", "version": ACCOUNTS.c.version + 1, "opened_at": now, "changed_at": now}
    statement = update(ACCOUNTS).where(ACCOUNTS.c.account_id.in_(account_ids)).values(values).returning(*_COLUMNS)
    return [_account(row) for row in await connection.execute(statement)]


async def note_ledger_status(connection: AsyncConnection, account_id: str, status: str, journal_index: int) -> None:
    """Store what the ledger lets an account do, unless something newer is stored."""
    statement = update(ACCOUNTS).where(ACCOUNTS.c.account_id == account_id, ACCOUNTS.c.ledger_index < journal_index)
    await connection.execute(statement.values(ledger_status=status, ledger_index=journal_index))


async def lock_unanswered_accounts(
    connection: AsyncConnection, now: datetime, limit: int
) -> Sequence[tuple[Account, int]]:
    """Return (account, asks so far) of those whose time to be asked again has come; others' pages are passed over."""
    statement = select(*_COLUMNS, ACCOUNTS.c.asks).where(ACCOUNTS.c.status == "opening", ACCOUNTS.c.ask_again_at <= now)
    statement = statement.order_by(ACCOUNTS.c.ask_again_at).limit(limit).with_for_update(skip_locked=True)
    return [(_account(row), row.asks) for row in await connection.execute(statement)]


async def note_ask(connection: AsyncConnection, account_ids: Collection[str], asks: int, again_at: datetime) -> None:
    """Store that the ledger was asked `asks` times about these accounts, and when it is asked next."""
    statement = update(ACCOUNTS).where(ACCOUNTS.c.account_id.in_(account_ids))
    await connection.execute(statement.values(asks=asks, ask_again_at=again_at))


async def read_changed_accounts(
    connection: AsyncConnection, after: tuple[datetime, str], limit: int
) -> Sequence[Account]:
    """Return a page of accounts behind (changed_at, account_id), oldest change first."""
    statement = select(*_COLUMNS).where(tuple_(ACCOUNTS.c.changed_at, ACCOUNTS.c.account_id) > after)
    statement = statement.order_by(ACCOUNTS.c.changed_at, ACCOUNTS.c.account_id).limit(limit)
    return [_account(row) for row in await connection.execute(statement)]


def _account(row: Row[*tuple[Any, ...]]) -> Account:
    return Account(
        account_id=row.account_id,
        account_number=row.account_number,
        owner_id=row.owner_id,
        asset=row.asset,
        status=row.status,
        is_primary=row.is_primary,
        version=row.version,
        created_at=row.created_at,
        opened_at=row.opened_at,
        changed_at=row.changed_at,
        ledger_status=row.ledger_status,
        name=row.name,
        metadata=row.metadata,
    )
