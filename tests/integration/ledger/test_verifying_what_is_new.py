"""What is new since a signed verification, and the slice of the old that a minute adds, in a ledger that was ruined.

A finding among what is new lets the whole journal be verified, because only that can name what else was changed.
"""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from tests.integration.ledger.books import Books
from tests.integration.ledger.conftest import copied_database, prepared_database
from tests.integration.ledger.histories import HOUR, SHORT
from tests.integration.ledger.ruin import edit_record, fetch, index_of, seen, sign_state, tamper, verify
from tests.support.api_world import MovedClock
from tests.support.ledger_builders import capture, id_of, leg, reverse, screened, void

ALICE = id_of("alice")
MINUTES_MAX = 100
"""In fewer turns than these the slices have gone round so few accounts."""
SIGNED_SIZE = "SELECT max(size) FROM ledger.verifications"


@pytest.fixture(scope="module")
def signed_dsn(postgres_dsn: str, lived_dsn: str) -> Iterator[str]:
    """Give the administrator's DSN of a ledger that was verified and signed, and has gone on since."""

    async def go_on(dsn: str, books: Books) -> None:
        await sign_state(dsn, books)
        await books.do(screened("new", leg("alice", "carol", 70)), capture("open", 5, 0, as_="more"))
        await books.do(reverse("new", 30, as_="some"), screened("held", leg("alice", "carol", 9), hold_seconds=HOUR))
        await books.do(screened("given back", leg("alice", "carol", 9), hold_seconds=HOUR), void("given back"))

    clock = MovedClock()
    clock.move(timedelta(seconds=SHORT + 1))
    with prepared_database(postgres_dsn, lived_dsn, go_on, clock=clock) as dsn:
        yield dsn


@pytest.fixture
async def dsn(postgres_dsn: str, signed_dsn: str) -> AsyncIterator[str]:
    """Give the administrator's DSN of a copy of it that a test may ruin."""
    async with copied_database(postgres_dsn, signed_dsn) as dsn:
        yield dsn


async def test_only_what_is_new_is_verified_before_anybody_touches_it(dsn: str) -> None:
    found = await verify(dsn, "incremental")
    assert (found.scope, found.findings, found.first) == ("incremental", [], await fetch(dsn, SIGNED_SIZE))
    assert found.records == found.size - found.first == 7


async def test_a_new_record_that_was_removed_is_named(dsn: str) -> None:
    index = await index_of(dsn, id_of("held"), "held")
    await tamper(dsn, f"DELETE FROM ledger.journal WHERE journal_index = {index}")
    found = await verify(dsn, "incremental")
    assert seen(found, "journal") == [("missing_record", f"0/{index}", [])]
    assert (len(found.findings), found.findings[0].index) == (1, index)


async def test_an_old_record_that_was_removed_is_named_by_the_verification_of_everything(dsn: str) -> None:
    index = await fetch(dsn, SIGNED_SIZE) - 2
    await tamper(dsn, f"DELETE FROM ledger.journal WHERE journal_index = {index}")
    found = await verify(dsn, "incremental")
    assert (found.scope, seen(found, "journal")) == ("full", [("missing_record", f"0/{index}", [])])


async def test_an_old_record_that_says_what_a_new_capture_moved_is_named_when_it_was_changed(dsn: str) -> None:
    index = await index_of(dsn, id_of("open"), "held")
    assert index < await fetch(dsn, SIGNED_SIZE)
    stored = await fetch(dsn, "SELECT leaf_hash FROM ledger.journal WHERE journal_index = $1", index)
    await edit_record(dsn, index, b'"memo_commitment":""', b'"memo_commitment":"f0"')
    found = await verify(dsn, "incremental")
    assert [one[:2] for one in seen(found, "journal")] == [("record_altered", f"0/{index}")]
    assert found.findings[0].stored_hash == stored.hex() != found.findings[0].computed_hash


async def test_a_new_transfer_that_points_at_an_old_record_is_named(dsn: str) -> None:
    given_back = id_of("given back")
    index = await index_of(dsn, given_back, "voided")
    old = await fetch(dsn, "SELECT max(journal_index) FROM ledger.journal WHERE kind = 'account.changed'")
    await tamper(dsn, f"UPDATE ledger.transfers SET journal_index = {old} WHERE transfer_id = '{given_back}'")
    found = await verify(dsn, "incremental")
    assert seen(found, "transfers") == [("record_altered", given_back, [("journal_index", str(old), str(index))])]


async def test_a_new_hold_without_its_rows_is_named(dsn: str) -> None:
    where = f"transfer_id = '{id_of('held')}'"
    await tamper(dsn, f"DELETE FROM ledger.settlements WHERE {where}", f"DELETE FROM ledger.transfers WHERE {where}")
    found = await verify(dsn, "incremental")
    assert seen(found, "transfers") == [("missing_record", id_of("held"), [])]
    assert found.findings[0].parties == (ALICE, id_of("carol"))


async def test_a_checkpoint_is_no_signed_state_though_the_same_key_has_signed_it(dsn: str) -> None:
    await tamper(
        dsn, "UPDATE ledger.verifications SET note = (SELECT note FROM ledger.checkpoints ORDER BY size DESC LIMIT 1)"
    )
    found = await verify(dsn, "minute")
    assert (found.scope, found.first, found.findings) == ("full", 0, [])


async def test_one_of_the_minutes_finds_in_old_accounts_what_is_not_looked_at_among_the_new(dsn: str) -> None:
    where = f"account_id = '{ALICE}' AND seq = 3"
    time = await fetch(dsn, f"SELECT date_part('epoch', posted_at) FROM ledger.entries WHERE {where}")
    index = await fetch(dsn, f"SELECT journal_index FROM ledger.entries WHERE {where}")
    await tamper(dsn, f"UPDATE ledger.entries SET posted_at = posted_at + interval '1 second' WHERE {where}")
    assert (await verify(dsn, "incremental")).findings == []
    for turn in range(MINUTES_MAX):
        found = await verify(dsn, "minute", turn=turn)
        if found.findings:
            break
    differing = [("posted_at", str(time + 1), str(time))]
    assert (found.scope, seen(found, "entries")) == ("minute", [("entry_altered", f"{ALICE}/3", differing)])
    assert (len(found.findings), found.findings[0].index) == (1, index)


async def test_a_minute_finds_in_old_transfers_what_is_not_looked_at_among_the_new(dsn: str) -> None:
    no = id_of("no")
    await tamper(dsn, f"UPDATE ledger.transfers SET code = 'x' WHERE transfer_id = '{no}'")
    assert (await verify(dsn, "incremental")).findings == []
    found = await verify(dsn, "minute")
    differing = [("code", "x", "amount_limit_exceeded")]
    assert (found.scope, seen(found, "transfers")) == ("minute", [("record_altered", no, differing)])
    assert len(found.findings) == 1


async def test_a_minute_of_a_ledger_that_has_written_nothing_yet_finds_nothing(books: Books, admin_dsn: str) -> None:
    await sign_state(admin_dsn, books)
    found = await verify(admin_dsn, "minute")
    assert (found.scope, found.size, found.records, found.findings) == ("minute", 0, 0, [])
