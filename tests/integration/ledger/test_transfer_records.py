"""A transfer's records are found by the rows that name them; the journal is read only when those do not agree."""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from libs.common.clock import monotonic_seconds
from libs.common.proof.signed_note import parse_vkeys
from services.ledger.audit.findings import Finding
from services.ledger.store.transfer_records import find_entries, find_records
from services.ledger.use_cases.verify_ledger import verify_ledger
from tests.integration.ledger.books import SIGNER, Books
from tests.integration.ledger.histories import live_through_everything
from tests.support.api_world import admin_connection
from tests.support.ledger_builders import capture, held, id_of, leg, resolved, reverse, screened

PART = leg("alice", "bob", 10)
STATED = "SELECT transfer_id::text, array_agg(journal_index ORDER BY journal_index) FROM ledger.journal {} GROUP BY 1"
BY_RECORD = """
SELECT journal_index, array_agg(account_id::text), array_agg(amount_minor) FROM ledger.entries GROUP BY 1
"""


async def asked(connection: asyncpg.Connection, ids: Sequence[str]) -> tuple[dict[str, list[int]], list[str]]:
    """Find records; also return how the journal was read, beyond what is named."""
    said: list[str] = []

    def listen(query: Any) -> None:
        said.append(query.query)

    connection.add_query_logger(listen)
    found = await find_records(connection, ids)
    await asyncio.sleep(0)  # it is told of a statement one round of the loop later
    connection.remove_query_logger(listen)
    scans = [text for text in said if text.strip().startswith("SELECT transfer_id::text, shard")]
    how = ["between" if "BETWEEN" in text else "anywhere" for text in scans]
    return {transfer_id: [place.journal_index for place in places] for transfer_id, places in found.items()}, how


async def findings(ledger_dsn: str, name: str) -> list[Finding]:
    found = await verify_ledger(
        ledger_dsn,
        parse_vkeys(SIGNER.vkey),
        monotonic_seconds=monotonic_seconds,
        scope="transfer",
        subject_id=id_of(name),
    )
    return found.findings


async def as_owner(admin_dsn: str, statement: str) -> None:
    async with admin_connection(admin_dsn) as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(statement)


async def test_all_records_of_every_transfer_are_found_without_reading_the_journal(
    books: Books, admin_dsn: str
) -> None:
    await live_through_everything(books)
    async with admin_connection(admin_dsn) as connection:
        stated = dict(await connection.fetch(STATED.format("WHERE transfer_id IS NOT NULL")))
        assert max(map(len, stated.values())) > 2
        found, how = await asked(connection, list(stated))
        assert found == stated
        assert "anywhere" not in how


async def test_a_record_that_nothing_names_is_looked_for_between_the_first_and_the_newest(
    books: Books, admin_dsn: str
) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(held("h", PART, reasons=("kyc_pending", "review")), screened("other", PART))
    await books.do(resolved("h", PART, reason="review", remaining=("kyc_pending",)))
    await books.do(resolved("h", PART))
    async with admin_connection(admin_dsn) as connection:
        found, how = await asked(connection, [id_of("h"), id_of("other")])
    assert found == {id_of("h"): [2, 4, 5], id_of("other"): [3]}
    assert how == ["between"]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM ledger.transfers WHERE transfer_id = '{}'",
        "UPDATE ledger.transfers SET journal_index = 0 WHERE transfer_id = '{}'",
        "UPDATE ledger.transfers SET version = 1 WHERE transfer_id = '{}'",
        "UPDATE ledger.transfers SET version = 7 WHERE transfer_id = '{}'",
    ],
)
async def test_a_row_that_is_gone_or_wrong_has_the_whole_journal_read(
    statement: str, books: Books, admin_dsn: str, ledger_dsn: str
) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("t", PART, hold_seconds=60))
    await books.do(capture("t", 4))
    assert await findings(ledger_dsn, "t") == []
    await as_owner(admin_dsn, statement.format(id_of("t")))
    async with admin_connection(admin_dsn) as connection:
        found, how = await asked(connection, [id_of("t"), id_of("nothing")])
    assert found == {id_of("t"): [2, 3], id_of("nothing"): []}
    assert how[-1] == "anywhere"
    (finding,) = await findings(ledger_dsn, "t")
    assert (finding.table, finding.row) == ("transfers", id_of("t"))
    assert finding.kind == ("missing_record" if "DELETE" in statement else "record_altered")


async def test_a_transfer_without_any_record_is_proven_by_nothing(
    books: Books, admin_dsn: str, ledger_dsn: str
) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("t", PART))
    await as_owner(admin_dsn, "DELETE FROM ledger.journal WHERE journal_index = 2")
    (finding,) = await findings(ledger_dsn, "t")
    assert (finding.kind, finding.table, finding.index) == ("record_altered", "transfers", 2)
    assert finding.fields == ("journal_index",)


async def test_every_record_of_a_transfer_is_checked_and_not_its_newest_alone(
    books: Books, admin_dsn: str, ledger_dsn: str
) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("t", PART, hold_seconds=60))
    await books.do(capture("t", 4, as_="one"), capture("t", as_="rest"))
    await books.do(reverse("t", 3))
    assert await findings(ledger_dsn, "t") == []
    await as_owner(admin_dsn, "UPDATE ledger.entries SET amount_minor = amount_minor + 1 WHERE journal_index = 3")
    (finding,) = await findings(ledger_dsn, "t")
    assert (finding.kind, finding.index) == ("entry_altered", 3)


async def test_a_record_s_entries_are_found_by_the_order_of_their_accounts(books: Books, admin_dsn: str) -> None:
    await live_through_everything(books)
    async with admin_connection(admin_dsn) as connection:
        for index, account_ids, amounts_minor in await connection.fetch(BY_RECORD):
            found = await find_entries(connection, index, sorted(set(account_ids)))
            assert found == sorted(zip(account_ids, amounts_minor, strict=True))
