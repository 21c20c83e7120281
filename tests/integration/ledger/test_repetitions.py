"""A transfer that comes again is answered again. The writer presumes that none does, and the database tells it."""

import asyncio
from typing import Any

import asyncpg
import msgspec
import pytest

from libs.common.contracts.audit import AuditRecorded
from libs.common.errors import InvariantBroken
from services.ledger.domain.commands import Command
from services.ledger.metrics import CONFLICTS, OUTCOMES
from tests.integration.ledger.books import Books, check, count_of, until_confirmed
from tests.support.api_world import admin_connection
from tests.support.ledger_builders import (
    batch,
    blocked,
    capture,
    change,
    held,
    id_of,
    leg,
    resolved,
    reverse,
    screened,
    void,
)

PART = leg("alice", "bob", 5)


@pytest.mark.parametrize(
    "command",
    [
        screened("t", PART),
        screened("t", leg("alice", "bob", 99_999)),
        blocked("t", PART),
        held("t", PART),
        batch("b", screened("t", PART), screened("u", PART)),
    ],
    ids=["posted", "refused", "blocked", "held", "atomic"],
)
async def test_a_repetition_right_after_the_first_is_answered_again(
    books: Books, admin_dsn: str, command: Command
) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(command)
    conflicts, outcomes = count_of(CONFLICTS), count_of(OUTCOMES, books.last("t")[0][0])
    await books.do(command)
    first, again = books.told("t")
    assert first == again
    assert conflicts() == outcomes() == 0
    await books.outcomes.flush()
    await check(admin_dsn)


@pytest.mark.parametrize("beside", [(), (screened("beside", PART),)], ids=["alone", "beside what is new"])
async def test_a_command_that_comes_again_brings_the_state_it_made_and_not_the_newest(
    books: Books, beside: tuple[Command, ...]
) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("h", leg("alice", "bob", 60), hold_seconds=3_600), screened("t", PART))
    commands = (capture("h", 20, as_="one"), reverse("t", 2, as_="some"), change("bob", maximum_minor=500))
    books.publisher.sent.clear()
    await books.do(*commands)
    # Its audit entry is said again by time, not by repetition.
    said = {item.message_id for item in books.publisher.sent if item.message_type != AuditRecorded.TYPE}
    await books.do(void("h"), reverse("t", as_="rest"))
    books.publisher.sent.clear()
    await books.do(*beside, *commands)
    assert said <= {item.message_id for item in books.publisher.sent}
    assert [(each.version, each.status) for each in books.told("h")] == [(2, "held")]
    assert [(each.version, each.reversed_minor) for each in books.told("t")] == [(2, (2,))]


async def test_a_refused_command_that_comes_again_brings_its_refusal_alone(books: Books) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("t", PART), capture("t"), reverse("t", 99))
    books.publisher.sent.clear()
    await books.do(capture("t"), reverse("t", 99))
    assert [item.key for item in books.publisher.sent] == [capture("t").command_id, reverse("t").command_id]


async def test_new_transfers_beside_a_repetition_are_posted_once(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("t", PART))
    await books.do(screened("u", PART), screened("t", PART), screened("v", PART), screened("u", PART))
    assert books.last("t", "u", "v") == [("posted", "")] * 3
    assert [len(books.told(name)) for name in ("t", "u", "v")] == [2, 2, 1]
    await books.outcomes.flush()
    await check(admin_dsn)
    assert await posted_of(admin_dsn, "bob") == 1 + 3 * 5


async def test_an_atomic_batch_that_uses_a_known_transfer_is_refused(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("t", PART))
    await books.do(batch("b", screened("u", PART), screened("t", PART)))
    assert books.last("t", "u") == [("posted", ""), ("refused", "batch_refused")]
    assert await posted_of(admin_dsn, "bob") == 1 + 5


async def test_a_hold_that_was_settled_before_it_came_is_answered_as_settled(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(resolved("released", PART))
    await books.do(resolved("rejected", PART, resolution="reject", code="payee_kyc_rejected"))
    await books.do(screened("t", PART))
    await books.do(held("released", PART), held("rejected", PART))
    assert books.last("released", "rejected") == [("posted", ""), ("voided", "payee_kyc_rejected")]
    await books.outcomes.flush()
    await check(admin_dsn)


async def test_a_run_of_repetitions_fails_once_and_new_transfers_after_it_are_presumed_new(books: Books) -> None:
    await books.fund(alice=1_000, bob=1)
    names = [f"t{number}" for number in range(4)]
    for name in names:
        await books.do(screened(name, PART))
    async with books.statements() as said:
        for name in names:
            await books.do(screened(name, PART))
    assert failures(said) == [asyncpg.UniqueViolationError]
    await books.do(screened("new", PART))
    async with books.statements() as said:
        await books.do(screened("newer", PART))
    assert len(said) == 1
    assert [len(books.told(name)) for name in (*names, "new", "newer")] == [2, 2, 2, 2, 1, 1]


async def test_a_resolution_looks_for_its_hold_and_is_no_repetition(books: Books) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(held("h", PART))
    async with books.statements() as said:
        await books.do(resolved("h", PART))
    assert books.last("h") == [("posted", "")]
    assert failures(said) == []
    async with books.statements() as said:
        await books.do(screened("t", PART))
    assert len(said) == 1


async def test_two_writers_that_are_given_the_same_post_it_once(ledger_dsn: str, admin_dsn: str) -> None:
    async with Books(ledger_dsn) as first, Books(ledger_dsn) as second:
        await first.fund(alice=10_000, bob=1)
        batches = [[screened(f"t{number} {at}", PART) for at in range(3)] for number in range(20)]

        async def work(books: Books) -> None:
            for each in batches:
                await books.insist(*each)

        await asyncio.gather(work(first), work(second))
        await until_confirmed(62, first, second)
        for number in range(20):
            told = first.told(f"t{number} 0") + second.told(f"t{number} 0")
            assert len({(state.status, state.version, state.journal_index) for state in told}) == 1
    assert await posted_of(admin_dsn, "bob") == 1 + 60 * 5
    await check(admin_dsn)


async def test_every_other_row_that_is_there_already_stops_the_writer(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=1)
    async with admin_connection(admin_dsn) as connection:
        await connection.execute(
            "INSERT INTO ledger.entries VALUES ($1, 2, $2, 1, 1, now(), 0)", id_of("alice"), id_of("nobody's")
        )
    async with books.statements() as said:
        with pytest.raises(InvariantBroken) as broken:
            await books.do(screened("t", PART))
    assert broken.value.facts == {"constraint": "entries_pkey"}
    assert failures(said) == [asyncpg.UniqueViolationError]


@pytest.mark.parametrize(("table", "column"), [("blocks", "witness"), ("checkpoints", "previous_size")])
async def test_every_other_value_that_is_missing_stops_the_writer(
    books: Books, admin_dsn: str, table: str, column: str
) -> None:
    async with admin_connection(admin_dsn) as connection:
        await connection.execute(f"ALTER TABLE ledger.{table} ADD COLUMN {column} text NOT NULL")
    conflicts = count_of(CONFLICTS)
    with pytest.raises(InvariantBroken):
        await books.fund(alice=1)
    assert conflicts() == 0


async def test_a_known_transfer_that_looking_does_not_find_stops_the_writer(books: Books) -> None:
    await books.fund(alice=1_000, bob=1)
    first = screened("t", PART)
    await books.do(first)
    # To PostgreSQL the same id, to us another.
    shouted = msgspec.structs.replace(first.command, transfer_id=first.command.transfer_id.upper())
    with pytest.raises(InvariantBroken) as broken:
        await books.do(msgspec.structs.replace(first, command=shouted))
    assert broken.value.facts == {"constraint": "transfers_pkey"}


def failures(said: list[Any]) -> list[type[BaseException]]:
    return [type(statement.exception) for statement in said if statement.exception is not None]


async def posted_of(admin_dsn: str, name: str) -> int:
    async with admin_connection(admin_dsn) as connection:
        posted: int = await connection.fetchval(
            "SELECT posted_minor FROM ledger.accounts WHERE account_id = $1", id_of(name)
        )
        return posted
