"""What users of other open ledgers complained about, each as a test of ours. The thread stands beside it.

What another file tests as well is here once more in the words of the complaint: whoever compares ledgers finds it.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest

from libs.common.errors import Unavailable
from tests.integration.ledger.books import Books, check, until_confirmed
from tests.support.api_world import admin_connection
from tests.support.ledger_builders import capture, held, id_of, leg, resolved, reverse, screened, void

HOUR = 3_600


@pytest.fixture
async def books_beside(ledger_dsn: str) -> AsyncIterator[Books]:
    """Give a second process over the same database."""
    async with Books(ledger_dsn) as books:
        yield books


async def posted(admin_dsn: str, name: str) -> int:
    """Return an account's balance."""
    async with admin_connection(admin_dsn) as connection:
        balance: int = await connection.fetchval(
            "SELECT posted_minor FROM ledger.accounts WHERE account_id = $1", id_of(name)
        )
        return balance


async def test_a_refund_whose_answer_was_lost_is_not_paid_again(books: Books, admin_dsn: str) -> None:
    """Of blnk#374: the API said 409, and the payment was applied once more."""
    await books.fund(alice=1_000, bob=500)
    await books.do(screened("t", leg("alice", "bob", 100)))
    for _ in range(3):
        await books.do(reverse("t"))
    assert (await posted(admin_dsn, "alice"), await posted(admin_dsn, "bob")) == (1_000, 500)


async def test_a_rejected_hold_cannot_be_captured(books: Books, admin_dsn: str) -> None:
    """Of blnk#182: a rejected inflight transaction could still be committed, into an overdraft."""
    part = leg("alice", "bob", 900)
    await books.fund(alice=1_000, bob=1)
    await books.do(held("h", part, reasons=("review",)))
    await books.do(resolved("h", part, resolution="reject", reason="review", code="review_rejected"))
    await books.do(screened("other", leg("alice", "bob", 1_000)), capture("h"))
    assert (await posted(admin_dsn, "alice"), await posted(admin_dsn, "bob")) == (0, 1_001)
    await books.outcomes.flush()
    await check(admin_dsn)


async def test_two_processes_commit_one_hold_once(books: Books, books_beside: Books, admin_dsn: str) -> None:
    """Of blnk#171 and midaz#1519: two commits raced, and a pending transaction was committed twice."""
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("h", leg("alice", "bob", 400), hold_seconds=HOUR))
    await asyncio.gather(books.insist(capture("h", as_="one")), books_beside.insist(capture("h", as_="two")))
    assert (await posted(admin_dsn, "alice"), await posted(admin_dsn, "bob")) == (600, 401)


async def test_what_is_on_its_way_out_is_not_available(books: Books) -> None:
    """Of blnk#90: queued debits were not subtracted from the available balance."""
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("h", leg("alice", "bob", 800), hold_seconds=HOUR), screened("t", leg("alice", "bob", 201)))
    assert books.last("t") == [("refused", "insufficient_funds")]


async def test_a_hold_of_many_legs_is_captured_whole(books: Books, admin_dsn: str) -> None:
    """Of blnk#195: a hold made in bulk could not be committed."""
    await books.fund(alice=1_000, bob=1, carol=1)
    await books.do(screened("h", leg("alice", "bob", 10), leg("alice", "carol", 20), hold_seconds=HOUR), capture("h"))
    assert [await posted(admin_dsn, name) for name in ("alice", "bob", "carol")] == [970, 11, 21]


async def test_a_transfer_to_oneself_is_refused(books: Books) -> None:
    """Of blnk#360: a self-transfer was accepted."""
    await books.fund(alice=1_000)
    await books.do(screened("t", leg("alice", "alice", 1)))
    assert books.last("t") == [("refused", "same_account")]


async def test_a_balance_never_moves_without_its_record(books: Books, admin_dsn: str) -> None:
    """Of blnk#240, blnk#203 and cala#802: row and balance were of two transactions, and drifted apart in silence."""
    await books.fund(alice=1_000, bob=1)
    books.publisher.fails = True
    await books.do(
        screened("t", leg("alice", "bob", 7)), screened("h", leg("bob", "alice", 2), payer="bob", hold_seconds=9)
    )
    books.publisher.fails = False
    await books.do(void("h"), reverse("t", 3))
    await check_when_told(books, admin_dsn)


async def test_a_writer_with_an_old_memory_writes_nothing(books: Books, books_beside: Books, admin_dsn: str) -> None:
    """Of midaz#2499: a stale cached balance was used as the seed, and money disappeared."""
    await books.fund(alice=1_000, bob=1)
    await books_beside.insist(screened("theirs", leg("alice", "bob", 900)))
    await books.insist(screened("ours", leg("alice", "bob", 200)))
    await until_confirmed(4, books)
    assert books.last("ours") == [("refused", "insufficient_funds")]
    assert (await posted(admin_dsn, "alice"), await posted(admin_dsn, "bob")) == (100, 901)


async def check_when_told(books: Books, admin_dsn: str) -> None:
    """Check every promise once all that was committed has been published."""
    async with asyncio.timeout(30):
        while True:
            try:
                await books.outcomes.flush()
                return await check(admin_dsn)
            except (AssertionError, Unavailable):
                await asyncio.sleep(0.1)
