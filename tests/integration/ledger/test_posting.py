"""From commands to rows, records and messages."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta

import asyncpg
import pytest

from libs.common.errors import Unavailable
from services.ledger.domain.account import Account
from services.ledger.domain.commands import Command
from services.ledger.store.accounts import load_accounts
from tests.integration.ledger.books import Books, check, until_confirmed
from tests.support.api_world import admin_connection
from tests.support.ledger_builders import batch, blocked, change, held, id_of, leg, resolved, screened


async def test_a_batch_of_everything_keeps_every_promise(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=50)
    await books.open("carol")
    part = leg("alice", "carol", 100)
    await books.do(
        screened("posted", leg("alice", "bob", 300)),
        screened("legs", leg("alice", "bob", 10), leg("alice", "carol", 20)),
        screened("refused", leg("alice", "bob", 5_000)),
        blocked("blocked", leg("alice", "bob", 1)),
        held("held", part),
        held("voided", part),
        batch("together", screened("one", leg("alice", "bob", 1)), screened("two", leg("alice", "carol", 1))),
        batch("apart", screened("three", leg("alice", "bob", 1)), screened("four", leg("alice", "carol", 9_999))),
    )
    await books.do(resolved("voided", part, resolution="reject", code="payee_kyc_rejected"))
    names = ("posted", "legs", "refused", "blocked", "held", "voided", "one", "two", "three", "four")
    assert books.last(*names) == [
        ("posted", ""),
        ("posted", ""),
        ("refused", "insufficient_funds"),
        ("blocked", "amount_limit_exceeded"),
        ("held", ""),
        ("voided", "payee_kyc_rejected"),
        ("posted", ""),
        ("posted", ""),
        ("refused", "batch_refused"),
        ("refused", "insufficient_funds"),
    ]
    await books.outcomes.flush()
    await check(admin_dsn)


async def test_a_hold_posts_when_it_is_released_in_a_later_batch(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=1)
    part = leg("alice", "bob", 400)
    await books.do(held("h", part, reasons=("kyc_pending", "review")))
    await books.do(resolved("h", part, reason="review", remaining=("kyc_pending",)))
    await books.do(resolved("h", part))
    assert [(told.status, told.version, told.reasons) for told in books.told("h")] == [
        ("held", 1, ("kyc_pending", "review")),
        ("held", 2, ("kyc_pending",)),
        ("posted", 3, ()),
    ]
    await books.outcomes.flush()
    await check(admin_dsn)


async def test_a_resolution_before_its_hold_settles_it(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=1)
    part = leg("alice", "bob", 400)
    await books.do(resolved("h", part))
    await books.do(held("h", part))
    first, again = books.told("h")
    assert first == again
    assert first.status == "posted"
    await books.outcomes.flush()
    await check(admin_dsn)


async def test_a_known_transfer_is_answered_again_by_a_process_that_has_forgotten_it(
    books: Books, ledger_dsn: str, admin_dsn: str
) -> None:
    await books.fund(alice=10)
    await books.open("bob")
    await books.do(screened("t", leg("alice", "bob", 99)))
    await books.outcomes.flush()
    async with Books(ledger_dsn) as other:
        await other.do(screened("t", leg("alice", "bob", 99)))
        assert other.told("t") == books.told("t")
        assert other.told("t")[0].facts == {"needed_minor": 99, "available_minor": 10}


async def test_two_writers_at_once_lose_nothing(ledger_dsn: str, admin_dsn: str) -> None:
    chance = random.Random(5)
    names = [f"customer {number}" for number in range(8)]
    async with Books(ledger_dsn) as first, Books(ledger_dsn) as second:
        await first.fund(**dict.fromkeys(names, 1_000))

        def commands(writer: str) -> list[list[Command]]:
            made: list[list[Command]] = []
            for number in range(20):
                pairs = [chance.sample(names, 2) for _ in range(5)]
                made.append(
                    [
                        screened(f"{writer} {number} {at}", leg(payer, payee, 3), payer=payer)
                        for at, (payer, payee) in enumerate(pairs)
                    ]
                )
            return made

        async def work(books: Books, batches: list[list[Command]]) -> None:
            for each in batches:
                await books.insist(*each)

        await asyncio.gather(work(first, commands("first")), work(second, commands("second")))
        await until_confirmed(208, first, second)
    async with admin_connection(admin_dsn) as connection:
        assert await connection.fetchval("SELECT count(*) FROM ledger.transfers WHERE status = 'posted'") == 208
    await check(admin_dsn)


async def test_a_halted_shard_writes_nothing_until_it_is_started_again(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=10, bob=1)
    async with admin_connection(admin_dsn) as connection:
        await connection.execute("UPDATE ledger.heads SET halted = true")
        with pytest.raises(Unavailable, match="ledger_halted"):
            await books.do(screened("t", leg("alice", "bob", 1)))
        await connection.execute("UPDATE ledger.heads SET halted = false")
    await books.do(screened("t", leg("alice", "bob", 1)))
    assert books.last("t") == [("posted", "")]


async def test_record_times_never_go_back_with_the_clock(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=10, bob=1)
    books.clock.move(timedelta(seconds=-30))
    await books.do(screened("t", leg("alice", "bob", 1)))
    assert books.told("t")[0].occurred_at == books.told("start of bob")[0].occurred_at
    await books.outcomes.flush()
    await check(admin_dsn)


async def test_a_clock_that_jumped_stops_the_writer(books: Books) -> None:
    await books.fund(alice=10, bob=1)
    books.clock.move(timedelta(minutes=10))
    with pytest.raises(Unavailable, match="clock_jumped"):
        await books.do(screened("t", leg("alice", "bob", 1)))
    books.clock.move(timedelta(minutes=-10))
    assert "restart the ledger" in (books.watch.trouble() or "")


async def test_what_staff_forbid_is_forbidden_until_they_allow_it_again(books: Books) -> None:
    await books.fund(alice=10, bob=1)
    await books.do(change("alice", "frozen"), screened("one", leg("alice", "bob", 1)))
    await books.do(change("alice", "active", as_="thaw"))
    await books.do(screened("two", leg("alice", "bob", 1)), change("bob", "suspended"))
    await books.do(screened("three", leg("alice", "bob", 1)))
    assert books.last("one", "two", "three") == [
        ("refused", "account_frozen"),
        ("posted", ""),
        ("refused", "account_suspended"),
    ]


async def test_accounts_are_opened_once_and_said_open_as_often_as_asked(books: Books, admin_dsn: str) -> None:
    await books.open("alice", "bob")
    await books.open("alice")
    assert [item.key for item in books.publisher.sent] == [id_of("alice"), id_of("bob"), id_of("alice")]
    async with admin_connection(admin_dsn) as connection:
        status = "SELECT status FROM ledger.accounts WHERE account_id = $1"
        assert await connection.fetchval(status, id_of("alice")) == "active"


async def test_an_account_that_is_forgotten_while_another_is_read_is_read_again(
    books: Books, admin_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await books.fund(alice=100)
    await books.open("bob")

    async def slowly(connection: asyncpg.Connection, account_ids: Sequence[str]) -> dict[str, Account]:
        found = await load_accounts(connection, account_ids)
        await books.open("alice")  # accounts says it again, on another connection
        monkeypatch.undo()
        return found

    monkeypatch.setattr("services.ledger.store.memory.load_accounts", slowly)
    await books.do(screened("t", leg("alice", "bob", 1)))
    assert books.last("t") == [("posted", "")]
    await books.outcomes.flush()
    await check(admin_dsn)
