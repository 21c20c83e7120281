"""What the database itself refuses, whoever asks."""

import asyncpg
import pytest

from libs.common.db.hot import HotConnection
from libs.common.money import FIRST_ASSETS
from services.ledger.use_cases.watch_system_accounts import WatchSystemAccounts
from tests.integration.ledger.books import Books
from tests.support.api_world import admin_connection
from tests.support.ledger_builders import RESERVE, id_of, leg, screened

TABLES = (
    "entries",
    "journal",
    "blocks",
    "checkpoints",
    "tree_tiles",
    "reversals",
    "commands",
    "fee_schedules",
)


@pytest.mark.parametrize("table", TABLES)
async def test_what_is_proven_can_be_neither_changed_nor_removed_by_the_owner(admin_dsn: str, table: str) -> None:
    column = "seq" if table == "entries" else "shard"
    async with admin_connection(admin_dsn) as connection:
        for statement in (
            f"UPDATE ledger.{table} SET {column} = 1",
            f"DELETE FROM ledger.{table}",
            f"TRUNCATE ledger.{table}",
        ):
            with pytest.raises(asyncpg.CheckViolationError) as refused:
                await connection.execute(statement)
            assert refused.value.constraint_name == f"{table}_append_only"


@pytest.mark.parametrize("table", TABLES)
async def test_the_service_may_only_add(ledger_dsn: str, table: str) -> None:
    async with admin_connection(ledger_dsn) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"DELETE FROM ledger.{table}")


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("pending_out_minor = 11", "accounts_minimum_kept"),
        ("posted_minor = -1", "accounts_minimum_kept"),
        ("posted_minor = 9007199254740992", "accounts_balance_exact"),
        ("pending_in_minor = -1", "accounts_pending_not_negative"),
    ],
)
async def test_the_database_forbids_what_the_engine_never_does(
    books: Books, admin_dsn: str, change: str, constraint: str
) -> None:
    await books.fund(alice=10)
    async with admin_connection(admin_dsn) as connection:
        with pytest.raises(asyncpg.CheckViolationError) as refused:
            await connection.execute(f"UPDATE ledger.accounts SET {change} WHERE account_id = $1", id_of("alice"))
        assert refused.value.constraint_name == constraint


async def test_every_asset_has_its_accounts_of_the_house(ledger_dsn: str, admin_dsn: str) -> None:
    connection = HotConnection(ledger_dsn, "test")
    watch = WatchSystemAccounts(connection)
    assert watch.trouble() is not None
    await watch.look()
    assert watch.trouble() is None
    async with admin_connection(admin_dsn) as admin:
        assert await admin.fetchval("SELECT count(*) FROM ledger.accounts") == 5 * len(FIRST_ASSETS)
        await admin.execute("DELETE FROM ledger.accounts WHERE account_id = $1", RESERVE)
    await watch.look()
    assert watch.trouble() == "missing or not active: SYS-RESERVE-0001 USD; run `tallystick migrate`"
    await connection.close()


async def test_a_deposit_without_a_reserve_is_refused_not_lost(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=10, bob=1)
    await books.do(screened("t", leg("alice", "bob", 1)))
    async with admin_connection(admin_dsn) as connection:
        assert (
            await connection.fetchval("SELECT posted_minor FROM ledger.accounts WHERE account_id = $1", RESERVE) == -11
        )
