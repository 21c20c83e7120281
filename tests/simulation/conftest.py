"""What a world of the simulation needs: a database, and a place for its logs."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.support.postgres import fresh_database
from tests.support.simulated_world import migrate


@pytest.fixture
def migrated_dsn(postgres_dsn: str) -> Iterator[str]:
    """Give the administrator's DSN of a database with the schemas of all services."""
    with fresh_database(postgres_dsn) as dsn:
        migrate(dsn)
        yield dsn


@pytest.fixture
def logged() -> Iterator[Path]:
    """Have all services write their logs into one file, and give it; it is for whoever removes it."""
    configured = structlog.get_config()
    path = Path(tempfile.mkdtemp(prefix="tallystick-simulation-")) / "services.log"
    with path.open("w", encoding="utf-8") as file:
        structlog.configure(logger_factory=structlog.WriteLoggerFactory(file=file))
        yield path
    structlog.configure(**configured)
