"""The ledger's schema, migrated once for every folder whose tests each want a database of their own."""

from collections.abc import Iterator

import pytest

from tests.support.api_world import migrated_database


@pytest.fixture(scope="session")
def migrated_dsn(postgres_dsn: str) -> Iterator[str]:
    """Give the administrator's DSN of the ledger's database that is copied; nobody else connects to it."""
    with migrated_database(postgres_dsn, "ledger") as dsn:
        yield dsn
