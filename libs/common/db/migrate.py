"""Schemas, roles and alembic revisions of all services, run in one go before anything starts.

One alembic tree and one schema per service. The admin owns everything; a service's role gets what its migrations grant.
A revision's `op.execute(text)` may hold several statements.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import asyncpg
from alembic.config import Config
from alembic.ddl.postgresql import PostgresqlImpl
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.util import await_only

_SERVICES_FOLDER: Final = Path(__file__).parents[3] / "services"
_ONE_MIGRATOR_LOCK: Final = 0x7A11_7571


class _ScriptingImpl(PostgresqlImpl):
    """Runs a revision's text through the simple query protocol: asyncpg cannot prepare several statements at once."""

    __dialect__ = "postgresql"

    def execute(self, sql: Any, execution_options: dict[str, Any] | None = None) -> None:
        if not isinstance(sql, str) or self.connection is None:
            super().execute(sql, execution_options)
            return
        driver: asyncpg.Connection = self.connection.connection.driver_connection
        await_only(driver.execute(sql))


def migrate_all(admin_dsn: str, roles: Mapping[str, str]) -> None:
    """Bring every service's schema to its newest revision and give its role this password.

    `roles` maps the service's name to the password of its role `tallystick_<service>`. Idempotent; two at once wait
    for each other. Raises: asyncpg or SQLAlchemy errors as they come, since a person reads them.
    """
    asyncio.run(migrate_services(admin_dsn, roles))


async def migrate_services(admin_dsn: str, roles: Mapping[str, str]) -> None:
    """Do what `migrate_all` says, inside a running loop."""
    engine = create_async_engine(make_url(admin_dsn).set(drivername="postgresql+asyncpg"), poolclass=NullPool)
    try:
        async with engine.connect() as lock:
            await lock.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _ONE_MIGRATOR_LOCK})
            for service, password in roles.items():
                await _prepare_role(engine, service, password)
                async with engine.begin() as connection:
                    await connection.run_sync(_upgrade, service)
    finally:
        await engine.dispose()


async def _prepare_role(engine: AsyncEngine, service: str, password: str) -> None:
    role = f"tallystick_{service}"
    async with engine.begin() as connection:
        known = await connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
        if known is None:
            await connection.execute(text(f"CREATE ROLE {role} LOGIN"))
        # Utility statements take no parameters; quote_literal is PostgreSQL's own way to write one safely.
        literal = await connection.scalar(text("SELECT quote_literal(:password)"), {"password": password})
        await connection.exec_driver_sql(f"ALTER ROLE {role} LOGIN PASSWORD {literal}")
        await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {service}"))
        await connection.execute(text(f"GRANT USAGE ON SCHEMA {service} TO {role}"))


def _upgrade(connection: Connection, service: str) -> None:
    connection.exec_driver_sql(f"SET LOCAL search_path TO {service}")
    config = Config()
    config.set_main_option("script_location", str(_SERVICES_FOLDER / service / "migrations"))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)

    def to_head(revision: Any, _context: MigrationContext) -> Any:
        return scripts._upgrade_revs("head", revision)  # noqa: SLF001 -- what alembic's own upgrade command calls

    with EnvironmentContext(config, scripts, fn=to_head, destination_rev="head") as environment:
        environment.configure(connection=connection, version_table_schema=service, transactional_ddl=True)
        with environment.begin_transaction():
            environment.run_migrations()
