"""Whoever changes the past is found out, and what he changed is named."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.clock import monotonic_seconds
from libs.common.proof.signed_note import parse_vkeys
from services.ledger.use_cases.record_decisions import Signer
from services.ledger.use_cases.verify_ledger import Verification, verify_ledger
from tests.integration.ledger.books import SIGNER, Books, check
from tests.support.api_world import admin_connection
from tests.support.ledger_builders import deposit, held, id_of, leg, screened


async def verify(dsn: str, vkey: str = SIGNER.vkey) -> Verification:
    return await verify_ledger(dsn, parse_vkeys(vkey), monotonic_seconds=monotonic_seconds)


async def written(books: Books) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("t", leg("alice", "bob", 300)), held("h", leg("alice", "bob", 10)))
    await books.do(screened("u", leg("alice", "bob", 5)))


def change(table: str, what: str, where: str) -> str:
    return f"UPDATE ledger.{table} SET {what} WHERE {where}"


TAMPERINGS = [
    (
        change(
            "journal", "record = replace(convert_from(record, 'UTF8'), ':300,', ':301,')::bytea", "journal_index = 2"
        ),
        {("leaf_hash", 2, ()), ("entry_differs", 2, ("amount_minor", "balance_after_minor"))},
    ),
    (
        change("journal", "leaf_hash = sha256('x')", "journal_index = 2"),
        {("leaf_hash", 2, ()), ("chain_hash", 2, ()), ("block_root", 3, ())},
    ),
    (
        change("journal", "transfer_id = gen_random_uuid()", "journal_index = 2"),
        {("record_columns", 2, ("transfer_id",))},
    ),
    ("DELETE FROM ledger.journal WHERE journal_index = 2", {("journal_gap", 3, ())}),
    (
        "DELETE FROM ledger.journal WHERE journal_index = 4",
        {("head", 3, ("size", "chain_hash")), ("checkpoint_differs", 4, ("size", "root"))},
    ),
    (
        change("entries", "amount_minor = -301", "amount_minor = -300"),
        {("entry_differs", 2, ("amount_minor",))},
    ),
    (
        "DELETE FROM ledger.entries WHERE amount_minor = -300",
        {("entry_missing", 2, ()), ("entries_count", None, ())},
    ),
    (
        change("accounts", "posted_minor = posted_minor + 1", "account_id = '{bob}'"),
        {("balance_differs", None, ("posted_minor",))},
    ),
    (
        change("accounts", "pending_out_minor = 0", "account_id = '{alice}'"),
        {("balance_differs", None, ("pending_out_minor",))},
    ),
    (
        change("transfers", "status = 'refused', code = 'x'", "journal_index = 2"),
        {("transfer_differs", 2, ("status", "code"))},
    ),
    (
        "DELETE FROM ledger.transfers WHERE journal_index = 2",
        {("transfer_missing", 2, ()), ("transfers_count", None, ())},
    ),
    (change("blocks", "root = sha256('x')", "size = 4"), {("block_root", 3, ())}),
    (
        change("checkpoints", "note = replace(note, E'\\n5\\n', E'\\n4\\n')", "size = 5"),
        {("checkpoint_signature", 4, ())},
    ),
]


@pytest.mark.parametrize(("statement", "expected"), TAMPERINGS, ids=[statement[7:60] for statement, _ in TAMPERINGS])
async def test_a_change_of_the_past_is_found_and_named(
    books: Books, admin_dsn: str, statement: str, expected: set[tuple[str, int | None, tuple[str, ...]]]
) -> None:
    await written(books)
    assert (await verify(admin_dsn)).is_good
    async with admin_connection(admin_dsn) as connection:
        # What a thief with the owner's rights would do.
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(statement.format(bob=id_of("bob"), alice=id_of("alice")))
    verification = await verify(admin_dsn)
    found = {(finding.check, finding.index, finding.fields) for finding in verification.findings}
    assert expected <= found
    assert all(finding.what_to_do for finding in verification.findings)


async def test_a_key_that_is_not_the_ledgers_verifies_nothing(books: Books, admin_dsn: str) -> None:
    await written(books)
    stranger = Signer("ledger.example/test", Ed25519PrivateKey.generate())
    assert [finding.check for finding in (await verify(admin_dsn, stranger.vkey)).findings] == ["checkpoint_signature"]


async def test_a_journal_of_several_tiles_and_block_sizes_verifies(books: Books, admin_dsn: str) -> None:
    await books.open("alice")
    for number in range(12):
        names = [f"d {number} {at}" for at in range(1 + number * 61 % 150)]
        await books.do(*(deposit(name, "alice", 1) for name in names))
    verification = await verify(admin_dsn)
    assert verification.is_good, verification.findings
    assert verification.tiles >= 2
    assert verification.blocks == 12
    await books.outcomes.flush()
    await check(admin_dsn)


async def test_an_empty_journal_verifies(admin_dsn: str) -> None:
    assert (await verify(admin_dsn)).is_good
