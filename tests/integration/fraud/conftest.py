"""A migrated database for all tests of the fraud service; each test brings users of its own."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tallystick.stack.service_settings import dsn_of_role
from tests.integration.fraud.office import Office
from tests.integration.fraud.review_desk import Desk
from tests.support.api_world import ROLE_PASSWORD, migrated_database


@pytest.fixture(scope="session")
def fraud_admin_dsn(postgres_dsn: str) -> Iterator[str]:
    """Give the administrator's DSN of a migrated database."""
    with migrated_database(postgres_dsn, "fraud") as admin_dsn:
        yield admin_dsn


@pytest.fixture(scope="session")
def fraud_dsn(fraud_admin_dsn: str) -> str:
    """Give the service role's DSN of the same database."""
    return dsn_of_role(fraud_admin_dsn, "tallystick_fraud", ROLE_PASSWORD)


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


@pytest.fixture
async def desk(office: Office) -> AsyncIterator[Desk]:
    """Give the reviewers' process beside that office."""
    async with Desk(office) as desk:
        yield desk


@pytest.fixture
async def second_desk(office: Office) -> AsyncIterator[Desk]:
    """Give another one, with a connection of its own."""
    async with Desk(office) as desk:
        yield desk
