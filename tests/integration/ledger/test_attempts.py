"""How many tries each decision took, kept with the transfer and told with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from services.ledger.store.batch import COPIED_FROM
from services.ledger.use_cases.post_transfers import PORTION, PostTransfers
from tests.integration.ledger.books import SHARD, SIGNER, Books, check, until_confirmed
from tests.support.api_world import admin_connection
from tests.support.ledger_builders import blocked, capture, id_of, leg, screened

PART = leg("alice", "bob", 2)


class LosesWrites(HotConnection):
    """Goes away instead of writing, as often as told."""

    losses = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        async with super().transaction() as connection:
            yield connection
            if self.losses:
                self.losses -= 1
                raise ConnectionResetError


async def attempts_of(admin_dsn: str, *names: str) -> list[int]:
    async with admin_connection(admin_dsn) as connection:
        query = "SELECT attempts FROM ledger.transfers WHERE transfer_id = $1"
        return [await connection.fetchval(query, id_of(name)) for name in names]


@pytest.mark.parametrize("transfers", [1, COPIED_FROM, PORTION])
async def test_a_batch_that_another_writer_overtook_took_two_tries(
    books: Books, ledger_dsn: str, admin_dsn: str, transfers: int
) -> None:
    await books.fund(alice=1_000, bob=1)
    async with Books(ledger_dsn) as other:
        await other.do(screened("others", PART))
    names = [f"t{number}" for number in range(transfers)]
    await books.do(screened("before", PART), *(screened(name, PART) for name in names))
    assert await attempts_of(admin_dsn, "others", "before", *names) == [1, 2, *[2] * transfers]
    await until_confirmed(4 + transfers, books)  # it told by catching up, since another had written in between
    assert [told.attempts for told in (*books.told("before"), *books.told("t0"))] == [2, 2]
    await books.do(screened("after", PART))
    assert await attempts_of(admin_dsn, "after", "t0") == [1, 2]
    # Known now, it is answered again as it was decided.
    await books.do(screened("t0", PART))
    assert [told.attempts for told in books.told("t0")] == [2, 2]
    await books.outcomes.flush()
    await check(admin_dsn)


async def test_a_batch_that_delivery_brings_again_counts_on(books: Books, ledger_dsn: str, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=1)
    hot = LosesWrites(ledger_dsn, "test-lossy")
    post = PostTransfers(hot=hot, outcomes=books.outcomes, signer=SIGNER, clock=books.watch, shard=SHARD)
    commands = [screened(f"t{number}", PART, hold_seconds=60) for number in range(COPIED_FROM)]
    hot.losses = 4  # as often as one delivery tries
    with pytest.raises(Unavailable):
        await post(commands)
    assert hot.losses == 0
    hot.losses = 1
    await post(commands)
    assert await attempts_of(admin_dsn, "t0") == [6]
    # A later state has a number of its own.
    await post([capture("t0")])
    assert await attempts_of(admin_dsn, "t0", "t1") == [1, 6]
    await hot.close()
    await books.outcomes.flush()
    await check(admin_dsn)


async def test_a_large_batch_that_comes_again_when_all_it_needs_is_remembered_counts_on(
    books: Books, ledger_dsn: str, admin_dsn: str
) -> None:
    await books.fund(alice=1_000, bob=1)
    hot = LosesWrites(ledger_dsn, "test-lossy")
    post = PostTransfers(hot=hot, outcomes=books.outcomes, signer=SIGNER, clock=books.watch, shard=SHARD)
    commands = [screened(f"t{number}", PART) for number in range(PORTION + 1)]
    hot.losses = 4
    with pytest.raises(Unavailable):
        await post(commands)
    await post([screened("between", PART)])
    await post(commands)
    assert await attempts_of(admin_dsn, "between", "t0", f"t{PORTION}") == [1, 5, 5]
    await hot.close()
    await books.outcomes.flush()
    await check(admin_dsn)


async def test_new_transfers_beside_one_decided_before_took_two_tries(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(blocked("known", PART))
    await books.do(screened("new", PART), blocked("known", PART))
    assert await attempts_of(admin_dsn, "new", "known") == [2, 1]
    assert [told.attempts for told in books.told("known")] == [1, 1]


async def test_what_is_told_again_from_the_tables_has_the_number_that_was_kept(
    books: Books, ledger_dsn: str, admin_dsn: str
) -> None:
    await books.fund(alice=1_000, bob=1)
    async with Books(ledger_dsn) as other:
        await other.do(screened("others", PART))
    books.publisher.fails = True
    await books.do(screened("t", PART))
    async with Books(ledger_dsn) as successor:
        await successor.do(screened("next", PART))
        await successor.outcomes.stop()
        assert {told.attempts for told in successor.told("t")} == {2}
    assert await attempts_of(admin_dsn, "t") == [2]
