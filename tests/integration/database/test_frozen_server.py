"""A server that stops answering in the middle, and goes on later: what nobody waited for commits nothing else.

As when its machine is paused: the begin that was given up is begun all the same, once the server goes on.
"""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import asyncpg
import pytest
from sqlalchemy import text

from libs.common.db import engine as engines
from libs.common.db import hot as hot_connections
from libs.common.db.engine import make_engine
from libs.common.db.hot import HotConnection
from libs.common.errors import InvariantBroken, Unavailable
from tallystick.stack.postgres import LocalPostgres

SHORT_SECONDS = 0.5
PID = "SELECT pg_backend_pid()"
INSERT = "INSERT INTO said (word) VALUES ('{}')"


@pytest.fixture(scope="module")
def server_dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a server of this module's own: its processes are ours to freeze."""
    server = LocalPostgres(tmp_path_factory.mktemp("frozen"))
    server.start()
    try:
        yield server.dsn
    finally:
        server.stop()


@pytest.fixture
async def admin(server_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server_dsn)
    await connection.execute("CREATE TABLE IF NOT EXISTS said (word text); TRUNCATE said")
    yield connection
    await connection.close()


@pytest.fixture
async def hot(server_dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HotConnection]:
    monkeypatch.setattr(hot_connections, "_COMMAND_SECONDS", SHORT_SECONDS)
    connection = HotConnection(server_dsn, "test-hot")
    yield connection
    await connection.close()


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def words(admin: asyncpg.Connection) -> list[str]:
    return [row["word"] for row in await admin.fetch("SELECT word FROM said ORDER BY word")]


async def test_what_follows_a_begin_that_nobody_waited_for_is_committed(
    hot: HotConnection, admin: asyncpg.Connection
) -> None:
    async with hot.autocommit() as connection:
        pid = await connection.fetchval(PID)
    with frozen(pid), pytest.raises(Unavailable, match="database_unavailable"):
        async with hot.transaction() as connection:
            await connection.execute(INSERT.format("never"))
    async with hot.transaction() as connection:
        await connection.execute(INSERT.format("together"))
    async with hot.autocommit() as connection:
        await connection.execute(INSERT.format("alone"))
    assert await words(admin) == ["alone", "together"]


async def test_the_pool_replaces_a_connection_whose_begin_nobody_waited_for(
    server_dsn: str, admin: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_COMMAND_SECONDS", SHORT_SECONDS)
    engine = make_engine(server_dsn, "test-pool")
    async with engine.begin() as connection:
        pid = (await connection.execute(text(PID))).scalar_one()
    with frozen(pid), pytest.raises(TimeoutError):
        async with engine.begin() as connection:
            await connection.execute(text(INSERT.format("never")))
    async with engine.begin() as connection:
        await connection.execute(text(INSERT.format("pooled")))
    assert await words(admin) == ["pooled"]
    await engine.dispose()


async def test_a_connection_is_not_lent_with_a_transaction_that_somebody_left_open(
    hot: HotConnection, admin: asyncpg.Connection
) -> None:
    async with hot.autocommit() as connection:
        await connection.execute("BEGIN")
        await connection.execute(INSERT.format("left"))
    async with hot.autocommit() as connection:
        await connection.execute(INSERT.format("after"))
    assert await words(admin) == ["after"]


async def test_a_commit_that_the_server_turned_into_a_rollback_is_no_success(
    hot: HotConnection, admin: asyncpg.Connection
) -> None:
    transaction = hot.transaction()
    connection = await transaction.__aenter__()
    await connection.execute(INSERT.format("lost"))
    with pytest.raises(asyncpg.DivisionByZeroError):
        await connection.execute("SELECT 1 / 0")
    with pytest.raises(InvariantBroken):
        await transaction.__aexit__(None, None, None)
    assert await words(admin) == []


async def test_a_connection_whose_commit_nobody_waited_for_is_cut_by_whoever_lent_it(
    server_dsn: str, admin: asyncpg.Connection
) -> None:
    connection = await asyncpg.connect(server_dsn, command_timeout=SHORT_SECONDS)
    pid = await connection.fetchval(PID)
    transaction = hot_connections.begun(connection)
    await transaction.__aenter__()
    with frozen(pid), pytest.raises(TimeoutError):
        await transaction.__aexit__(None, None, None)
    assert connection.is_closed()
