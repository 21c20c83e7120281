"""A PostgreSQL for a test session: one named by the environment, one from the wheel, or one in Docker.

`TALLYSTICK_TEST_POSTGRES=<admin DSN>` names one. `TALLYSTICK_TEST_INFRA=docker` asks for Docker.
`TALLYSTICK_TEST_POSTGRES_VERSION=16` takes the wheel's oldest instead of its newest.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from tallystick.stack.postgres import LocalPostgres, PostgresVersion
from tests.support.memory import folder_in_memory

COPIED_AS_FILES = "STRATEGY FILE_COPY"
"""Where nothing waits for the disk, half the CPU of PostgreSQL's own choice, which logs every page of the copy."""
VERSIONS: dict[str, PostgresVersion] = {"16": 16, "18": 18}


@contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """Give the administrator's DSN of a server; what was started for it is stopped at the end."""
    version = os.environ.get("TALLYSTICK_TEST_POSTGRES_VERSION", "18")
    if named := os.environ.get("TALLYSTICK_TEST_POSTGRES"):
        yield named
    elif os.environ.get("TALLYSTICK_TEST_INFRA") == "docker":
        with _in_docker(version) as dsn:
            yield dsn
    else:
        with folder_in_memory(otherwise=folder) as found:
            server = LocalPostgres(found, version=VERSIONS[version])
            server.start()
            try:
                asyncio.run(_spare_disk_and_cores(server.dsn))
                yield server.dsn
            finally:
                server.stop()


async def _spare_disk_and_cores(dsn: str) -> None:
    """Let commits and copies of databases not wait for the disk: this server is never killed, and dies with its tests.

    What a crash of the database leaves is shown on stacks that keep PostgreSQL's defaults: in e2e, chaos and
    tests/integration/stack. Nor is it worth two milliseconds of each connection that passwords are slow to guess.
    """
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("ALTER SYSTEM SET fsync = off")
        await connection.execute("ALTER SYSTEM SET full_page_writes = off")
        await connection.execute("ALTER SYSTEM SET scram_iterations = 1")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.execute("SET scram_iterations = 1")
        await connection.execute(f"ALTER ROLE CURRENT_USER PASSWORD '{urlsplit(dsn).password}'")
    finally:
        await connection.close()


@contextmanager
def _in_docker(version: str) -> Iterator[str]:
    from testcontainers.postgres import PostgresContainer  # noqa: PLC0415 -- needed, and slow to import, only here

    with PostgresContainer(f"postgres:{version}-alpine", username="tallystick", dbname="tallystick") as container:
        yield container.get_connection_url(driver=None)


@contextmanager
def fresh_database(admin_dsn: str, *, copied_dsn: str | None = None) -> Iterator[str]:
    """Give the administrator's DSN of a new database on the server, dropped at the end with whoever uses it.

    It is empty, or a copy of one that nobody is connected to.
    """
    name = f"test_{uuid4().hex[:12]}"
    template = f" TEMPLATE {urlsplit(copied_dsn).path[1:]}" if copied_dsn else ""
    asyncio.run(_execute(admin_dsn, f"CREATE DATABASE {name}{template} {COPIED_AS_FILES}"))
    try:
        yield _with_database(admin_dsn, name)
    finally:
        asyncio.run(_execute(admin_dsn, f"DROP DATABASE {name} WITH (FORCE)"))


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _with_database(dsn: str, name: str) -> str:
    address, mark, options = dsn.partition("?")
    return f"{address.rpartition('/')[0]}/{name}{mark}{options}"


@pytest.fixture(scope="session")
def postgres_dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the administrator's DSN of the session's server."""
    with postgres_server(tmp_path_factory.mktemp("postgres")) as dsn:
        yield dsn


@pytest.fixture
def database_dsn(postgres_dsn: str) -> Iterator[str]:
    """Give the administrator's DSN of an empty database of this test's own."""
    with fresh_database(postgres_dsn) as dsn:
        yield dsn
