"""A migrated database for all tests of the fraud service; each test brings users of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from libs.common.db.migrate import migrate_services
from tests.integration.fraud.office import Office
from tests.support.postgres import fresh_database


@pytest.fixture(scope="session")
def fraud_dsn(postgres_dsn: str) -> Iterator[str]:
    """Give the service role's DSN of a migrated database."""
    with fresh_database(postgres_dsn) as admin_dsn:
        asyncio.run(migrate_services(admin_dsn, {"fraud": "fraud-password"}))
        yield as_role(admin_dsn)


def as_role(admin_dsn: str) -> str:
    scheme, _, address = admin_dsn.partition("://")
    return f"{scheme}://tallystick_fraud:fraud-password@{address.rpartition('@')[2]}"


@pytest.fixture
async def office(fraud_dsn: str) -> AsyncIterator[Office]:
    """Give one running instance of the service's use cases."""
    async with Office(fraud_dsn) as office:
        yield office


@pytest.fixture
async def second_office(fraud_dsn: str) -> AsyncIterator[Office]:
    """Give another instance, with memory and connection of its own."""
    async with Office(fraud_dsn) as office:
        yield office
