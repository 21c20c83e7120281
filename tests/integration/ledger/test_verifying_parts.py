"""One account or one transfer of a ruined ledger, verified alone."""

from hashlib import sha256

import pytest

from tests.integration.ledger.ruin import edit_record, fetch, index_of, seen, tamper, verify
from tests.support.ledger_builders import id_of

ALICE, T = id_of("alice"), id_of("t")
ENTRY = f"account_id = '{ALICE}' AND journal_index = "


async def seq_at(dsn: str, index: int) -> int:
    seq: int = await fetch(dsn, f"SELECT seq FROM ledger.entries WHERE {ENTRY}{index}")
    return seq


async def test_an_account_names_the_record_that_was_changed_and_its_entry(dsn: str) -> None:
    index = await index_of(dsn, T, "posted")
    text = await fetch(dsn, "SELECT record FROM ledger.journal WHERE journal_index = $1", index)
    await edit_record(dsn, index, b'"amount_minor":300', b'"amount_minor":301')
    found = await verify(dsn, "account", ALICE)
    assert seen(found, "journal") == [("record_altered", f"0/{index}", [])]
    edited = text.replace(b'"amount_minor":300', b'"amount_minor":301')
    hashes = [sha256(b"\x00" + one).hexdigest() for one in (text, edited)]
    assert [found.findings[0].stored_hash, found.findings[0].computed_hash] == hashes
    row = f"{ALICE}/{await seq_at(dsn, index)}"
    assert seen(found, "entries") == [("entry_altered", row, [("amount_minor", "-300", "-301")])]
    assert len(found.findings) == 2


async def test_an_account_names_the_entry_of_a_record_that_cannot_be_read(dsn: str) -> None:
    index = await index_of(dsn, T, "posted")
    await edit_record(dsn, index, b'"legs":[', b'"limbs":[')
    found = await verify(dsn, "account", ALICE)
    assert [one[:2] for one in seen(found, "journal")] == [("record_altered", f"0/{index}")]
    ((kind, row, differing),) = seen(found, "entries")
    assert (kind, row) == ("entry_altered", f"{ALICE}/{await seq_at(dsn, index)}")
    assert differing[:2] == [("amount_minor", "-300", "0"), ("transfer_id", T, "")]


@pytest.mark.parametrize("kind", ["transfer.refused", "account.changed"])
async def test_an_account_names_the_entry_of_a_record_that_moves_nothing(dsn: str, kind: str) -> None:
    index = await index_of(dsn, T, "posted")
    seq = await seq_at(dsn, index)
    other = await fetch(dsn, "SELECT min(journal_index) FROM ledger.journal WHERE kind = $1", kind)
    await tamper(dsn, f"UPDATE ledger.entries SET journal_index = {other} WHERE {ENTRY}{index}")
    found = await verify(dsn, "account", ALICE)
    ((found_kind, row, differing),) = seen(found, "entries")
    assert (found_kind, row) == ("entry_altered", f"{ALICE}/{seq}")
    assert differing[0] == ("amount_minor", "-300", "0")
    named = id_of("poor") if kind == "transfer.refused" else ""
    assert ("transfer_id", T, named) in differing
    assert len(found.findings) == 1


async def test_an_account_names_the_entry_after_one_that_was_removed(dsn: str) -> None:
    index = await index_of(dsn, T, "posted")
    seq = await seq_at(dsn, index)
    await tamper(dsn, f"DELETE FROM ledger.entries WHERE {ENTRY}{index}")
    found = await verify(dsn, "account", ALICE)
    row = f"{ALICE}/{seq + 1}"
    assert seen(found, "entries")[0] == ("sequence_gap", row, [("seq", str(seq + 1), str(seq))])
    ((kind, at, ((field, stored, computed),)),) = seen(found, "entries")[1:]
    assert (kind, at, field) == ("entry_altered", row, "balance_after_minor")
    assert int(stored) - int(computed) == -300


async def test_an_account_names_an_entry_that_says_another_amount_than_its_record(dsn: str) -> None:
    index = await index_of(dsn, T, "posted")
    row = f"{ALICE}/{await seq_at(dsn, index)}"
    time = await fetch(dsn, f"SELECT date_part('epoch', posted_at) FROM ledger.entries WHERE {ENTRY}{index}")
    await tamper(
        dsn,
        f"UPDATE ledger.entries SET transfer_id = '{id_of('poor')}', posted_at = posted_at + interval '1 second' "
        f"WHERE {ENTRY}{index}",
    )
    found = await verify(dsn, "account", ALICE)
    differing = [("transfer_id", id_of("poor"), T), ("posted_at", str(time + 1), str(time))]
    assert seen(found, "entries") == [("entry_altered", row, differing)]
    assert len(found.findings) == 1


async def test_a_transfer_whose_row_points_at_the_record_of_another_is_named(dsn: str) -> None:
    index = await index_of(dsn, id_of("small 3"), "posted")
    await tamper(dsn, f"UPDATE ledger.transfers SET journal_index = {index} WHERE transfer_id = '{T}'")
    newest = await fetch(dsn, "SELECT max(journal_index) FROM ledger.journal WHERE transfer_id = $1", T)
    found = await verify(dsn, "transfer", T)
    assert seen(found, "transfers") == [("record_altered", T, [("journal_index", str(index), str(newest))])]
    assert len(found.findings) == 1


async def test_a_transfer_of_a_journal_that_was_never_signed_is_not_proven(dsn: str) -> None:
    await tamper(dsn, "DELETE FROM ledger.checkpoints")
    found = await verify(dsn, "transfer", T)
    assert seen(found, "checkpoints") == [("missing_record", "0", [])]
    assert (len(found.findings), found.root) == (1, "")


async def test_a_transfer_under_a_checkpoint_of_no_trusted_key_is_not_proven(dsn: str) -> None:
    newest = "(SELECT max(size) FROM ledger.checkpoints)"
    size = await fetch(dsn, f"SELECT {newest}")
    await tamper(
        dsn, f"UPDATE ledger.checkpoints SET note = replace(note, E'\\n{size}\\n', E'\\n1\\n') WHERE size = {newest}"
    )
    found = await verify(dsn, "transfer", T)
    assert seen(found, "checkpoints") == [("checkpoint_forged", f"0/{size}", [])]
    assert [one.detail for one in found.findings] == [
        "note_signature_wrong: the signature of a trusted key does not fit the text"
    ]


async def test_a_transfer_whose_record_is_not_in_the_signed_tree_is_named_with_both_hashes(dsn: str) -> None:
    index = await index_of(dsn, id_of("no"), "blocked")
    await edit_record(dsn, index, b'"memo_commitment":""', b'"memo_commitment":"f0"')
    await tamper(
        dsn, f"UPDATE ledger.journal SET leaf_hash = sha256('\\x00'::bytea || record) WHERE journal_index = {index}"
    )
    found = await verify(dsn, "transfer", id_of("no"))
    leaf = await fetch(dsn, "SELECT leaf_hash FROM ledger.journal WHERE journal_index = $1", index)
    root = await fetch(dsn, "SELECT root FROM ledger.blocks ORDER BY size DESC LIMIT 1")
    assert seen(found, "journal") == [("chain_broken", f"0/{index}", [])]
    assert len(found.findings) == 1
    assert (found.findings[0].stored_hash, found.findings[0].computed_hash) == (leaf.hex(), root.hex())


async def test_a_transfer_names_its_entries_when_one_is_gone(dsn: str) -> None:
    small = id_of("small 3")
    index = await index_of(dsn, small, "posted")
    await tamper(dsn, f"DELETE FROM ledger.entries WHERE {ENTRY}{index}")
    found = await verify(dsn, "transfer", small)
    ((kind, row, ((field, stored, computed),)),) = seen(found, "entries")
    assert (kind, row, field) == ("entry_altered", f"of record {index}", "amount_minor")
    assert f"('{ALICE}', -1)" in computed
    assert f"'{ALICE}'" not in stored
    assert len(found.findings) == 1
