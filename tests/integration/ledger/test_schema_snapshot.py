"""What guards the tables is as it was committed, or the ledger is not ready and says what differs."""

import pytest

from libs.common.db.hot import HotConnection
from services.ledger.store.protected_objects import PROTECTED_OBJECTS
from services.ledger.store.schema_guard import load_guards
from services.ledger.use_cases.watch_schema import WatchSchema
from tests.support.api_world import admin_connection

REPLACED = (
    "CREATE OR REPLACE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
)


async def trouble(dsn: str) -> str | None:
    hot = HotConnection(dsn, "test-schema")
    watch = WatchSchema(hot)
    await watch.look()
    await hot.close()
    return watch.trouble()


async def test_the_committed_snapshot_is_what_the_migrations_make(admin_dsn: str) -> None:
    """Where this fails after a migration was added: `make ledger-schema`."""
    async with admin_connection(admin_dsn) as connection:
        assert await load_guards(connection) == PROTECTED_OBJECTS


async def test_the_service_sees_the_same_as_the_owner(ledger_dsn: str) -> None:
    assert await trouble(ledger_dsn) is None


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("ALTER TABLE ledger.entries DISABLE TRIGGER entries_append_only", "trigger entries.entries_append_only is"),
        ("DROP TRIGGER journal_append_only ON ledger.journal", "CREATE TRIGGER journal_append_only"),
        ("GRANT UPDATE ON ledger.journal TO tallystick_ledger", "GRANT INSERT, SELECT ON ledger.journal"),
        ("GRANT SELECT ON ledger.journal TO public", "grant on journal to public should not be there"),
        ("GRANT UPDATE (record) ON ledger.journal TO tallystick_ledger", "columns granted on journal"),
        ("ALTER TABLE ledger.entries OWNER TO tallystick_ledger", "owner of entries is the service"),
        (
            REPLACED,
            "function refuse_change is",
        ),
    ],
)
async def test_a_difference_is_named_with_what_mends_it(
    admin_dsn: str, ledger_dsn: str, statement: str, said: str
) -> None:
    async with admin_connection(admin_dsn) as connection:
        await connection.execute(statement)
    assert said in (await trouble(ledger_dsn) or "")
