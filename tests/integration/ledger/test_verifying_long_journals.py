"""A journal longer than the pages it is verified in: what lies on another page than it should is found as well."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.integration.ledger.books import Books
from tests.integration.ledger.conftest import copied_database, prepared_database
from tests.integration.ledger.ruin import edit_record, fetch, index_of, seen, sign_state, tamper, verify
from tests.support.api_world import MovedClock
from tests.support.ledger_builders import deposit, id_of, leg, screened

BATCHES, BATCH = 9, 1_000
LAST_BATCH = BATCHES - 1
ALICE = id_of("alice")


@pytest.fixture(scope="module")
def long_dsn(postgres_dsn: str, migrated_dsn: str) -> Iterator[str]:
    """Give the administrator's DSN of a signed ledger of 9,000 transfers, a block for each thousand."""

    async def live(dsn: str, books: Books) -> None:
        await books.open("alice", "bob")
        await books.do(deposit("start", "alice", BATCHES * BATCH))
        for number in range(BATCHES):
            await books.do(*(screened(f"{number} {at}", leg("alice", "bob", 1)) for at in range(BATCH)))
        await sign_state(dsn, books)

    with prepared_database(postgres_dsn, migrated_dsn, live, clock=MovedClock()) as dsn:
        yield dsn


@pytest.fixture
async def dsn(postgres_dsn: str, long_dsn: str) -> AsyncIterator[str]:
    """Give the administrator's DSN of a copy of it that a test may ruin."""
    async with copied_database(postgres_dsn, long_dsn) as dsn:
        yield dsn


async def test_one_minute_after_the_other_looks_at_every_page_of_the_old(dsn: str) -> None:
    late = await index_of(dsn, id_of(f"{LAST_BATCH} 700"), "posted")
    time = await fetch(
        dsn,
        "SELECT date_part('epoch', changed_at) FROM ledger.transfers WHERE transfer_id = $1",
        id_of(f"{LAST_BATCH} 700"),
    )
    await tamper(
        dsn,
        "UPDATE ledger.transfers SET changed_at = changed_at + interval '1 second' "
        f"WHERE transfer_id = '{id_of(f'{LAST_BATCH} 700')}'",
    )
    first, second = await verify(dsn, "minute", turn=0), await verify(dsn, "minute", turn=1)
    assert (first.scope, first.findings, second.scope) == ("minute", [], "minute")
    differing = [("changed_at", str(time + 1), str(time))]
    assert seen(second, "transfers") == [("record_altered", id_of(f"{LAST_BATCH} 700"), differing)]
    assert (len(second.findings), second.findings[0].index) == (1, late)
    assert first.records + second.records == first.size == BATCHES * BATCH + 1


async def test_of_the_tiles_that_one_block_has_filled_the_changed_one_is_named(dsn: str) -> None:
    made = await fetch(dsn, "SELECT root FROM ledger.tree_tiles WHERE level = 0 AND tile_index = 5")
    await tamper(dsn, "UPDATE ledger.tree_tiles SET root = sha256('x') WHERE level = 0 AND tile_index = 5")
    found = await verify(dsn)
    stored = await fetch(dsn, "SELECT encode(sha256('x'), 'hex')")
    assert seen(found, "tree_tiles") == [("chain_broken", "0/0/5", [("root", stored, made.hex())])]
    assert (len(found.findings), found.findings[0].computed_hash) == (1, made.hex())


async def test_an_entry_and_a_transfer_moved_to_another_page_are_one_finding_each(dsn: str) -> None:
    early, late = await index_of(dsn, id_of("0 7"), "posted"), await index_of(dsn, id_of(f"{LAST_BATCH} 700"), "posted")
    where = f"account_id = '{ALICE}' AND journal_index = {late}"
    seq = await fetch(dsn, f"SELECT seq FROM ledger.entries WHERE {where}")
    await tamper(
        dsn,
        f"UPDATE ledger.entries SET journal_index = {early} WHERE {where}",
        f"UPDATE ledger.transfers SET journal_index = {late + 5_000_000} WHERE transfer_id = '{id_of('0 7')}'",
    )
    found = await verify(dsn)
    moved = [("journal_index", str(early), str(late))]
    assert seen(found, "entries") == [("entry_altered", f"{ALICE}/{seq}", moved)]
    moved = [("journal_index", str(late + 5_000_000), str(early))]
    assert seen(found, "transfers") == [("record_altered", id_of("0 7"), moved)]
    assert len(found.findings) == 2


async def test_an_account_of_many_entries_is_verified_to_its_last(dsn: str) -> None:
    last = BATCHES * BATCH + 1
    assert (await verify(dsn, "account", ALICE)).entries == last
    await tamper(
        dsn, f"UPDATE ledger.entries SET balance_after_minor = 77 WHERE account_id = '{ALICE}' AND seq = {last}"
    )
    found = await verify(dsn, "account", ALICE)
    assert seen(found, "entries") == [("entry_altered", f"{ALICE}/{last}", [("balance_after_minor", "77", "0")])]
    assert seen(found, "accounts") == [("balance_altered", ALICE, [("posted_minor", "0", "77")])]


async def test_a_record_changed_after_the_first_page_is_named_with_what_its_entries_say(dsn: str) -> None:
    late = await index_of(dsn, id_of(f"{LAST_BATCH} 700"), "posted")
    await edit_record(dsn, late, b'"amount_minor":1,', b'"amount_minor":9,')
    found = await verify(dsn)
    assert seen(found, "journal") == [("record_altered", f"0/{late}", [("amount_minor", "9", "1")])]
    assert len(found.findings) == 1
    assert set(found.findings[0].parties) == {ALICE, id_of("bob")}
