"""A database for each test of the ledger, since what it proves is about everything in it; migrated once and copied."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tallystick.stack.service_settings import dsn_of_role
from tests.integration.ledger.books import Books
from tests.integration.ledger.histories import live_through_everything
from tests.support.api_world import ROLE_PASSWORD, MovedClock, admin_connection
from tests.support.postgres import COPIED_AS_FILES


@asynccontextmanager
async def copied_database(postgres_dsn: str, migrated_dsn: str) -> AsyncIterator[str]:
    """Give the administrator's DSN of a new copy, dropped at the end."""
    template = urlsplit(migrated_dsn).path[1:]
    name = f"test_{uuid4().hex[:12]}"
    async with admin_connection(postgres_dsn) as connection:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} {COPIED_AS_FILES}")
        yield migrated_dsn.replace(f"/{template}", f"/{name}", 1)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def admin_dsn(postgres_dsn: str, migrated_dsn: str) -> AsyncIterator[str]:
    """Give the administrator's DSN of this test's database."""
    async with copied_database(postgres_dsn, migrated_dsn) as dsn:
        yield dsn


@pytest.fixture
async def other_admin_dsn(postgres_dsn: str, migrated_dsn: str) -> AsyncIterator[str]:
    """Give the administrator's DSN of a second one, to compare with."""
    async with copied_database(postgres_dsn, migrated_dsn) as dsn:
        yield dsn


@pytest.fixture
def ledger_dsn(admin_dsn: str) -> str:
    """Give the service role's DSN of the same database."""
    return dsn_of_role(admin_dsn, "tallystick_ledger", ROLE_PASSWORD)


@pytest.fixture
def other_ledger_dsn(other_admin_dsn: str) -> str:
    """Give the service role's DSN of the second one."""
    return dsn_of_role(other_admin_dsn, "tallystick_ledger", ROLE_PASSWORD)


@pytest.fixture
async def books(ledger_dsn: str) -> AsyncIterator[Books]:
    """Give one running ledger."""
    async with Books(ledger_dsn) as books:
        yield books


@contextmanager
def prepared_database(
    postgres_dsn: str, template_dsn: str, live: Callable[[str, Books], Awaitable[None]], *, clock: MovedClock
) -> Iterator[str]:
    """Give the administrator's DSN of a copy in which a ledger has lived; nobody connects to it, so it is copied on."""

    async def run(dsn: str) -> None:
        async with Books(dsn_of_role(dsn, "tallystick_ledger", ROLE_PASSWORD), clock=clock) as books:
            await live(dsn, books)
            await books.outcomes.flush()

    with asyncio.Runner() as runner:
        context = copied_database(postgres_dsn, template_dsn)
        dsn = runner.run(context.__aenter__())
        runner.run(run(dsn))
        yield dsn
        runner.run(context.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def lived_dsn(postgres_dsn: str, migrated_dsn: str) -> Iterator[str]:
    """Give the administrator's DSN of a ledger that has seen every kind of record, and more than a tile of them."""

    async def live(dsn: str, books: Books) -> None:
        await live_through_everything(books)

    with prepared_database(postgres_dsn, migrated_dsn, live, clock=MovedClock()) as dsn:
        yield dsn


@pytest.fixture
async def dsn(postgres_dsn: str, lived_dsn: str) -> AsyncIterator[str]:
    """Give the administrator's DSN of a copy of it that a test may ruin."""
    async with copied_database(postgres_dsn, lived_dsn) as dsn:
        yield dsn
