"""A connection that is lost while a batch commits: whether it was written is unknown, and its repetition finds out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from services.ledger.metrics import CONFLICTS
from services.ledger.store.batch import COPIED_FROM
from services.ledger.use_cases.post_transfers import PostTransfers
from tests.integration.ledger.books import SHARD, SIGNER, Books, check, count_of, until_confirmed, until_waiting
from tests.support.api_world import admin_connection
from tests.support.ledger_builders import leg, screened

END_WRITER = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'test-writer' AND datname = current_database()
"""


class LosesAnAnswer(HotConnection):
    """Commits, and then loses the answer that says so, if told to."""

    loses = False

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[asyncpg.Connection]:
        async with super().autocommit() as connection:
            yield connection
            if self.loses:
                raise ConnectionResetError


@pytest.mark.parametrize("transfers", [1, COPIED_FROM])
async def test_a_batch_that_was_committed_unheard_is_answered_when_it_comes_again(
    books: Books, ledger_dsn: str, admin_dsn: str, transfers: int
) -> None:
    await books.fund(alice=1_000, bob=1)
    hot = LosesAnAnswer(ledger_dsn, "test-lossy")
    post = PostTransfers(hot=hot, outcomes=books.outcomes, signer=SIGNER, clock=books.watch, shard=SHARD)
    # From here on it remembers, and presumes what comes to be new.
    await post([screened("first", leg("alice", "bob", 1))])
    commands = [screened(f"t{number}", leg("alice", "bob", 2)) for number in range(transfers)]
    hot.loses = True
    with pytest.raises(Unavailable, match="database_unavailable"):
        await post(commands)
    assert books.told("t0") == []
    hot.loses = False
    conflicts = count_of(CONFLICTS)
    await post(commands)
    assert conflicts() == 0  # what it remembered of before is not even tried
    assert [(told.status, told.version) for told in books.told("t0")] == [("posted", 1)]
    async with admin_connection(admin_dsn) as connection:
        assert await connection.fetchval("SELECT size FROM ledger.heads") == 3 + transfers
    # The next commit finds that the one before was never published from memory, and publishes it from the tables.
    await post([screened("last", leg("alice", "bob", 1))])
    await until_confirmed(4 + transfers, books)
    await hot.close()
    await check(admin_dsn)


@pytest.mark.parametrize("transfers", [1, COPIED_FROM])
async def test_a_batch_whose_connection_ends_before_it_could_write_is_posted_when_it_comes_again(
    books: Books, admin_dsn: str, transfers: int
) -> None:
    await books.fund(alice=1_000, bob=1)
    commands = [screened(f"t{number}", leg("alice", "bob", 2)) for number in range(transfers)]
    async with admin_connection(admin_dsn) as other, admin_connection(admin_dsn) as ending:
        async with other.transaction():
            await other.execute("SELECT FROM ledger.heads FOR UPDATE")
            writing = asyncio.create_task(books.do(*commands))
            await until_waiting(admin_dsn)
            while not writing.done():  # it tries again a few times, each time on a new connection
                await ending.execute(END_WRITER)
                await asyncio.sleep(0.01)
            with pytest.raises(Unavailable):
                await writing
        assert await other.fetchval("SELECT size FROM ledger.heads") == 2
    await books.do(*commands)
    assert books.last("t0") == [("posted", "")]
    await books.outcomes.flush()
    await check(admin_dsn)
