"""A ledger's tables with a journal in them, without the ledger: for what only reads and compares."""

from collections.abc import AsyncIterator, Iterator

import pytest

from libs.common.db.hot import HotConnection
from tallystick.stack.service_settings import dsn_of_role
from tests.support.api_world import ROLE_PASSWORD, admin_connection
from tests.support.postgres import fresh_database
from tests.support.stored_journal import StoredJournal


@pytest.fixture
def admin_dsn(postgres_dsn: str, migrated_dsn: str) -> Iterator[str]:
    """Give the administrator's DSN of this test's database."""
    with fresh_database(postgres_dsn, copied_dsn=migrated_dsn) as dsn:
        yield dsn


@pytest.fixture
def ledger_dsn(admin_dsn: str) -> str:
    """Give the service role's DSN of the same database."""
    return dsn_of_role(admin_dsn, "tallystick_ledger", ROLE_PASSWORD)


@pytest.fixture
async def journal(admin_dsn: str) -> AsyncIterator[StoredJournal]:
    """Give an empty journal."""
    async with admin_connection(admin_dsn) as connection:
        yield StoredJournal(connection)


@pytest.fixture
async def hot(ledger_dsn: str) -> AsyncIterator[HotConnection]:
    """Give a connection as the service has it."""
    connection = HotConnection(ledger_dsn, "test")
    yield connection
    await connection.close()
