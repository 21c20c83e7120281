"""Records and rows that say what cannot be: they are named, and no verification stumbles over them.

A verification that stumbles says "could not check" and halts nothing, so whoever ruins a ledger would choose these.
"""

from typing import Final

import pytest

from services.ledger.audit.findings import Scope
from tests.integration.ledger.ruin import edit_record, index_of, tamper, verify
from tests.support.ledger_builders import id_of

ALICE, SMALL = id_of("alice"), id_of("small 3")
GHOST: Final = "00000000-0000-7000-8000-000000000001"
SECOND_LEG: Final = (
    f',{{"amount_minor":0,"asset":"USD","destination_account_id":"{id_of("carol")}","source_account_id":"{ALICE}"}}'
).encode()


async def test_a_transfer_that_no_record_made_is_found_beside_the_one_whose_record_it_claims(dsn: str) -> None:
    await tamper(
        dsn,
        f"INSERT INTO ledger.transfers SELECT '{GHOST}', kind, status, version, code, reasons, facts, shard, "
        f"journal_index, changed_at FROM ledger.transfers WHERE transfer_id = '{SMALL}'",
    )
    found = [(one.kind, one.table, one.row) for one in (await verify(dsn)).findings]
    assert found == [("record_altered", "transfers", GHOST)]


@pytest.mark.parametrize(
    ("name", "kind", "old", "new"),
    [
        pytest.param("small 3", "posted", b'"time":"2', b'"time":"x', id="no time"),
        pytest.param("small 3", "posted", b'"transfer.posted"', b'"transfer.pasted"', id="no such kind"),
        pytest.param("c1", "captured", SECOND_LEG, b"", id="fewer legs than the hold"),
    ],
)
async def test_a_record_that_says_what_cannot_be_is_named(
    dsn: str, name: str, kind: str, old: bytes, new: bytes
) -> None:
    index = await index_of(dsn, id_of(name), kind)
    await edit_record(dsn, index, old, new)
    found = [(one.kind, one.table, one.row) for one in (await verify(dsn)).findings]
    assert ("record_altered", "journal", f"0/{index}") in found


@pytest.mark.parametrize(
    ("scope", "subject_id", "statement", "kind", "table"),
    [
        pytest.param(
            "account",
            ALICE,
            "UPDATE ledger.settlements SET legs_index = "
            "(SELECT min(journal_index) FROM ledger.journal WHERE kind = 'account.changed') WHERE is_open",
            "balance_altered",
            "accounts",
            id="a settlement at no record of a transfer",
        ),
        pytest.param(
            "transfer",
            SMALL,
            "UPDATE ledger.checkpoints SET note = (SELECT note FROM ledger.checkpoints ORDER BY size LIMIT 1)",
            "checkpoint_forged",
            "checkpoints",
            id="a checkpoint of a smaller tree",
        ),
        pytest.param(
            "transfer",
            SMALL,
            "UPDATE ledger.tree_tiles SET hashes = substr(hashes, 1, 32)",
            "chain_broken",
            "journal",
            id="a tile that was cut",
        ),
        pytest.param(
            "full",
            "",
            "UPDATE ledger.journal SET leaf_hash = leaf_hash || '\\x00' WHERE journal_index = 5",
            "record_altered",
            "journal",
            id="a leaf hash that is too long",
        ),
    ],
)
async def test_a_row_that_says_what_cannot_be_is_named(
    dsn: str, scope: Scope, subject_id: str, statement: str, kind: str, table: str
) -> None:
    await tamper(dsn, statement)
    assert (kind, table) in {(one.kind, one.table) for one in (await verify(dsn, scope, subject_id)).findings}


async def test_what_no_check_was_made_for_is_a_finding_all_the_same(dsn: str) -> None:
    await tamper(dsn, "UPDATE ledger.settlements SET captured_minor = ARRAY[NULL]::bigint[] WHERE is_open")
    (found,) = (await verify(dsn, "account", ALICE)).findings
    assert (found.kind, found.table, found.row) == ("record_altered", "journal", "0")
    assert found.detail.startswith("what is stored makes no sense: TypeError(")
    assert found.what_to_do


@pytest.mark.parametrize("kind", ["transfer.posted", "transfer.pledged"])
async def test_a_record_made_unreadable_with_its_own_hash_is_named_by_its_broken_chain(dsn: str, kind: str) -> None:
    index = await index_of(dsn, SMALL, "posted")
    await edit_record(dsn, index, b'"kind":"transfer.posted","legs"', f'"kind":"{kind}","limbs"'.encode())
    await tamper(
        dsn,
        f"UPDATE ledger.journal SET kind = '{kind}', leaf_hash = sha256('\\x00'::bytea || record) "
        f"WHERE journal_index = {index}",
    )
    found = [(one.kind, one.table, one.row) for one in (await verify(dsn)).findings]
    assert ("chain_broken", "journal", f"0/{index}") in found
