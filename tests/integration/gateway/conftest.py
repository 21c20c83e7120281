"""A fresh gateway for each test, on one migrated database a module."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.gateway.counter import Counter, open_counter
from tests.integration.gateway.listening import Listening
from tests.support.api_world import migrated_database


@pytest.fixture(scope="module")
def gateway_dsn(postgres_dsn: str) -> Iterator[str]:
    with migrated_database(postgres_dsn, "gateway") as dsn:
        yield dsn


@pytest.fixture
async def counter(gateway_dsn: str, tmp_path: Path) -> AsyncIterator[Counter]:
    async with open_counter(gateway_dsn, tmp_path) as counter:
        yield counter


@pytest.fixture
async def limited(gateway_dsn: str, tmp_path: Path) -> AsyncIterator[Counter]:
    """A gateway with rate limits on."""
    async with open_counter(gateway_dsn, tmp_path, rate_limits=True) as counter:
        yield counter


@pytest.fixture
def listening(counter: Counter) -> Listening:
    """Give two customers of that gateway, who may listen to what happens."""
    return Listening(counter)
