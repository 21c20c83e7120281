"""The one commit of a batch: what it costs, what it locks and in which order, and what it leaves when it loses."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

import asyncpg
import pytest

from libs.common.clock import from_rfc3339, to_rfc3339
from libs.common.db.hot import HotConnection
from libs.common.errors import InvariantBroken
from libs.common.proof.tiles import TILE_WIDTH
from services.ledger.domain.commands import Command
from services.ledger.domain.engine import FREE_OF_CHARGE, decide_more
from services.ledger.domain.run import Run
from services.ledger.store.accounts import load_accounts
from services.ledger.store.batch import COPIED_FROM, Batch, HeadMoved, Sealed
from services.ledger.store.heads import JournalHead, load_head
from services.ledger.store.money import write_money
from services.ledger.store.postings import write_batch
from services.ledger.use_cases.post_transfers import PORTION, PostTransfers
from services.ledger.use_cases.record_decisions import record_decisions
from tests.integration.ledger.books import SHARD, SIGNER, Books, check, until_waiting
from tests.support.api_world import MovedClock, admin_connection
from tests.support.ledger_builders import NOW, batch, blocked, held, id_of, leg, resolved, screened, void

TABLES: Final = ("accounts", "entries", "transfers", "journal", "tree_tiles", "blocks", "checkpoints", "heads")
SMALL_AND_LARGE: Final = pytest.mark.parametrize("transfers", [1, COPIED_FROM])


class Forgets(HotConnection):
    """Has the writer forget an account as soon as a batch has begun."""

    post: PostTransfers

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        async with super().transaction() as connection:
            self.post.forget_account(id_of("alice"))
            yield connection


class StoppedClock(MovedClock):
    """The same time for ever, so that two ledgers write the same."""

    def __call__(self) -> datetime:
        return from_rfc3339(NOW)


async def test_a_lone_transfer_costs_one_round_trip(books: Books) -> None:
    await books.fund(alice=10, bob=1)
    async with books.statements() as said:
        await books.do(screened("t", leg("alice", "bob", 1)))
    assert verbs(said) == ["WITH"]


async def test_a_batch_that_copies_or_changes_a_hold_is_a_transaction(books: Books) -> None:
    await books.fund(alice=1_000, bob=1)
    part = leg("alice", "bob", 1)
    async with books.statements() as said:
        await books.do(*(screened(f"t{number}", part) for number in range(COPIED_FROM)))
    assert verbs(said) == ["BEGIN", "WITH", "WITH", "COMMIT"]
    # Neither entries nor records came along in the two statements.
    assert [len(statement.args[-1]) for statement in said[1:3]] == [0, 0]
    await books.do(held("h", part))
    async with books.statements() as said:
        await books.do(resolved("h", part))
    assert verbs(said) == ["SELECT", "BEGIN", "WITH", "UPDATE", "INSERT", "WITH", "COMMIT"]


async def test_a_large_batch_is_decided_while_its_first_entries_are_being_copied(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=1)
    async with books.writing.autocommit() as connection:
        run, head = await begun(connection)
    in_transaction = []

    def deciding() -> Iterator[None]:
        for command in posted(3):
            in_transaction.append((connection.is_in_transaction(), len(run.decisions.books.entries)))
            decide_more(run, [command])
            yield

    late = batch_of(run, head, deciding())
    await write_batch(books.writing, late, lambda: seal(late), nothing)
    assert in_transaction == [(True, 0), (True, 2), (True, 4)]
    # Two for each deposit, and two for each of the three.
    assert len((await rows(admin_dsn))["entries"]) == 2 * 2 + 3 * 2


async def test_a_batch_that_is_still_to_be_decided_waits_for_the_head_before_it_is(
    books: Books, admin_dsn: str
) -> None:
    await books.fund(alice=1_000, bob=1)
    async with books.writing.autocommit() as connection:
        run, head = await begun(connection)

    def deciding() -> Iterator[None]:
        decide_more(run, posted(COPIED_FROM))
        yield

    before = await rows_at_rest(books, admin_dsn)
    async with admin_connection(admin_dsn) as first:
        async with first.transaction():
            await first.execute("UPDATE ledger.heads SET size = size + 1")
            writing = await written_behind(books, admin_dsn, batch_of(run, head, deciding()))
            assert run.decisions.answers == []
        with pytest.raises(HeadMoved):
            await writing
        await first.execute("UPDATE ledger.heads SET size = size - 1")
    assert run.decisions.answers == []
    assert await rows(admin_dsn) == before


async def test_a_decision_that_fails_half_way_leaves_nothing(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=1)
    async with books.writing.autocommit() as connection:
        run, head = await begun(connection)

    def deciding() -> Iterator[None]:
        decide_more(run, posted(COPIED_FROM))
        yield
        raise InvariantBroken("decisions are pure")

    before = await rows_at_rest(books, admin_dsn)
    late = batch_of(run, head, deciding())
    with pytest.raises(InvariantBroken):
        await write_batch(books.writing, late, lambda: seal(late), nothing)
    assert await rows(admin_dsn) == before
    await books.do(*posted(COPIED_FROM))
    await books.outcomes.flush()
    await check(admin_dsn)


async def test_a_batch_that_cannot_be_sealed_leaves_nothing(books: Books, admin_dsn: str) -> None:
    """Of what it has written by then; of a large batch that is more than one statement."""
    await books.fund(alice=1_000, bob=1)
    async with books.writing.autocommit() as connection:
        late = await decided(connection, *posted(COPIED_FROM))

    def broken() -> Sealed:
        raise InvariantBroken("every record has a canonical form")

    before = await rows_at_rest(books, admin_dsn)
    with pytest.raises(InvariantBroken):
        await write_batch(books.writing, late, broken, nothing)
    assert await rows(admin_dsn) == before


async def test_an_account_that_is_forgotten_while_a_batch_is_decided_is_known_to_it_all_the_same(
    books: Books, ledger_dsn: str, admin_dsn: str
) -> None:
    await books.fund(alice=1_000, bob=1)
    hot = Forgets(ledger_dsn, "test-forgets")
    hot.post = PostTransfers(hot=hot, outcomes=books.outcomes, signer=SIGNER, clock=books.watch, shard=SHARD)
    await hot.post([screened("first", leg("alice", "bob", 1))])
    await hot.post(posted(PORTION + 1))
    assert set(books.last(*(f"t{number}" for number in range(PORTION + 1)))) == {("posted", "")}
    await hot.close()
    await books.outcomes.flush()
    await check(admin_dsn)


@pytest.mark.parametrize("refused", [COPIED_FROM - 1, COPIED_FROM])
async def test_records_count_as_rows_where_there_are_no_entries(books: Books, refused: int) -> None:
    await books.fund(alice=1, bob=1)
    async with books.statements() as said:
        await books.do(*(blocked(f"t{number}", leg("alice", "bob", 1)) for number in range(refused)))
    assert ("BEGIN" in verbs(said)) == (refused == COPIED_FROM)


async def test_rows_of_a_small_batch_and_rows_of_a_large_one_are_the_same(
    ledger_dsn: str, admin_dsn: str, other_ledger_dsn: str, other_admin_dsn: str
) -> None:
    part = leg("alice", "bob", 2)
    commands: list[Command] = [
        screened("legs", part, part),
        screened("refused", leg("alice", "bob", 99_999)),
        blocked("blocked", part),
        batch("together", screened("one", part), screened("two", leg("bob", "alice", 1), payer="bob")),
        held("held", part, reasons=("kyc_pending", "review")),
        resolved("held", part, reason="review", remaining=("kyc_pending",)),
        *(screened(f"t{number}", part) for number in range(COPIED_FROM)),
        resolved("held", part),
        void("legs"),  # refused: its record is about a command, not about a transfer
    ]
    async with Books(ledger_dsn, clock=StoppedClock()) as small, Books(other_ledger_dsn, clock=StoppedClock()) as large:
        for books in (small, large):
            await books.fund(alice=10_000, bob=1)
        for command in commands:
            await small.do(command)
        await large.do(*commands)
        await small.outcomes.flush()
        await large.outcomes.flush()
    one_by_one, together = await rows(admin_dsn), await rows(other_admin_dsn)
    for table in ("accounts", "entries", "transfers", "journal", "tree_tiles", "heads"):
        assert one_by_one[table] == together[table], table
    # Fewer commits make fewer blocks and checkpoints; the last ones speak of the same tree under the same signature.
    assert one_by_one["checkpoints"][-1] == together["checkpoints"][-1]
    last, whole = one_by_one["blocks"][-1], together["blocks"][-1]
    assert (last["size"], last["root"], last["chain_hash"]) == (whole["size"], whole["root"], whole["chain_hash"])
    await check(admin_dsn)
    await check(other_admin_dsn)


@SMALL_AND_LARGE
async def test_a_head_that_moved_has_nothing_written(books: Books, admin_dsn: str, transfers: int) -> None:
    await books.fund(alice=1_000, bob=1)
    late = await decided_by_itself(books, transfers)
    # It leaves the accounts alone: only the head tells that somebody was here.
    await books.do(blocked("first", leg("alice", "bob", 1)))
    before = await rows_at_rest(books, admin_dsn)
    await lose(books, late)
    assert await rows(admin_dsn) == before


@SMALL_AND_LARGE
async def test_a_halted_head_has_nothing_written(books: Books, admin_dsn: str, transfers: int) -> None:
    await books.fund(alice=1_000, bob=1)
    await nearly_fill_a_tile(books)
    late = await decided_by_itself(books, transfers)
    async with admin_connection(admin_dsn) as connection:
        await connection.execute("UPDATE ledger.heads SET halted = true")
    before = await rows_at_rest(books, admin_dsn)
    await lose(books, late)
    assert await rows(admin_dsn) == before


@pytest.mark.parametrize("name", ["alice", "bob"])
async def test_an_account_that_moved_has_nothing_written_to_any_table(books: Books, admin_dsn: str, name: str) -> None:
    await books.fund(alice=1_000, bob=1)
    await nearly_fill_a_tile(books)
    commands = screened("t", leg("alice", "bob", 1)), blocked("b", leg("alice", "bob", 2))
    async with books.writing.autocommit() as connection:
        late = await decided(connection, *commands)
    assert late.fits_one_statement
    assert seal(late).full_tiles
    async with admin_connection(admin_dsn) as connection:
        await connection.execute("UPDATE ledger.accounts SET version = version + 1 WHERE account_id = $1", id_of(name))
    before = await rows_at_rest(books, admin_dsn)
    with pytest.raises(HeadMoved):
        await write_batch(books.writing, late, lambda: seal(late), nothing)
    assert await rows(admin_dsn) == before
    # Decided again on what is there, all of it is written.
    await books.do(*commands)
    assert {table for table, after in (await rows(admin_dsn)).items() if after != before[table]} == set(TABLES)
    await books.outcomes.flush()
    await check(admin_dsn)


@SMALL_AND_LARGE
async def test_the_second_of_two_writers_waits_for_the_head_before_it_touches_anything(
    books: Books, admin_dsn: str, transfers: int
) -> None:
    await books.fund(alice=1_000, bob=1)
    late = await decided_by_itself(books, transfers)
    before = await rows_at_rest(books, admin_dsn)
    async with admin_connection(admin_dsn) as first:
        async with first.transaction():
            await first.execute("UPDATE ledger.heads SET size = size + 1")
            writing = await written_behind(books, admin_dsn, late)
        with pytest.raises(HeadMoved):
            await writing
        await first.execute("UPDATE ledger.heads SET size = size - 1")
    assert await rows(admin_dsn) == before


@SMALL_AND_LARGE
async def test_an_account_that_changes_while_a_writer_waits_for_the_head_is_not_overwritten(
    books: Books, admin_dsn: str, transfers: int
) -> None:
    await books.fund(alice=1_000, bob=1)
    late = await decided_by_itself(books, transfers)
    await books.outcomes.flush()
    async with admin_connection(admin_dsn) as other:
        async with other.transaction():
            await other.execute("SELECT FROM ledger.heads FOR UPDATE")
            writing = await written_behind(books, admin_dsn, late)
            await other.execute(
                "UPDATE ledger.accounts SET status = 'frozen', version = version + 1 WHERE account_id = $1",
                id_of("alice"),
            )
        before = await rows(admin_dsn)
        with pytest.raises(HeadMoved):
            await writing
    assert await rows(admin_dsn) == before


@SMALL_AND_LARGE
async def test_the_mark_may_grow_while_a_writer_waits_for_the_head(
    books: Books, admin_dsn: str, transfers: int
) -> None:
    await books.fund(alice=1_000, bob=1)
    waiting = await decided_by_itself(books, transfers)
    async with admin_connection(admin_dsn) as other:
        async with other.transaction():
            await other.execute("UPDATE ledger.heads SET published_size = size")
            writing = await written_behind(books, admin_dsn, waiting)
        await writing
        assert await other.fetchrow("SELECT size, published_size FROM ledger.heads") == (2 + transfers, 2)


def verbs(said: list[Any]) -> list[str]:
    """Return what each statement begins with."""
    return [statement.query.split()[0] for statement in said]


def posted(transfers: int) -> list[Command]:
    """Return that many transfers that are posted."""
    return [screened(f"t{number}", leg("alice", "bob", 1)) for number in range(transfers)]


async def nearly_fill_a_tile(books: Books) -> None:
    """After two records, let one be missing to a full tile, so that a batch would have something for every table."""
    await books.do(*(blocked(f"blocked {number}", leg("alice", "bob", 1)) for number in range(TILE_WIDTH - 3)))


async def lose(books: Books, late: Batch) -> None:
    """Write a batch whose head is another by now. All that its first statement wrote is committed."""
    if late.fits_one_statement:
        with pytest.raises(HeadMoved):
            await write_batch(books.writing, late, lambda: seal(late), nothing)
        return
    # Rolling back would hide what it wrote.
    async with books.writing.transaction() as connection:
        with pytest.raises(HeadMoved):
            await write_money(connection, late)


async def decided_by_itself(books: Books, transfers: int) -> Batch:
    """Decide on so many transfers without writing them."""
    async with books.writing.autocommit() as connection:
        return await decided(connection, *posted(transfers))


async def written_behind(books: Books, admin_dsn: str, decided_batch: Batch) -> asyncio.Task[Sealed]:
    """Begin to write, and return once that waits for somebody."""
    writing = asyncio.create_task(write_batch(books.writing, decided_batch, lambda: seal(decided_batch), nothing))
    assert await until_waiting(admin_dsn)
    return writing


async def decided(connection: asyncpg.Connection, *commands: Command) -> Batch:
    """Return what a writer would write that sees the books as they are now."""
    run, head = await begun(connection)
    decide_more(run, commands)
    return batch_of(run, head)


async def begun(connection: asyncpg.Connection) -> tuple[Run, JournalHead]:
    """Return a run that sees the books as they are now, and the journal's end."""
    head = await load_head(connection, SHARD)
    accounts = await load_accounts(connection, [id_of("alice"), id_of("bob")])
    schedules = FREE_OF_CHARGE
    return Run(accounts, {}, first_index=head.size, now=head.last_time, done={}, schedules=schedules), head


def batch_of(run: Run, head: JournalHead, undecided: Iterator[None] | None = None) -> Batch:
    at = from_rfc3339(head.last_time)
    return Batch(SHARD, head, run.decisions, recorded_at=at, published_size=0, undecided=undecided)


def nothing() -> None:
    """Nobody is told."""


def seal(batch: Batch) -> Sealed:
    return record_decisions(
        batch.decisions, head=batch.before, now=to_rfc3339(batch.recorded_at), shard=SHARD, signer=SIGNER
    )


async def rows_at_rest(books: Books, admin_dsn: str) -> dict[str, list[asyncpg.Record]]:
    """Return all rows after the mark was stored, which would be by itself within a second."""
    await books.outcomes.flush()
    return await rows(admin_dsn)


async def rows(admin_dsn: str) -> dict[str, list[asyncpg.Record]]:
    """Return everything a batch may write, each table in the order of its first columns."""
    async with admin_connection(admin_dsn) as connection:
        return {table: await connection.fetch(f"SELECT * FROM ledger.{table} ORDER BY 1, 2, 3") for table in TABLES}
