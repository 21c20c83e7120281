"""Rows moved away from their record, rows that point at the wrong one, and more damage than anybody reads."""

import msgspec
import pytest

from services.ledger.audit.findings import FINDINGS_MAX
from services.ledger.store.journal_record import FINDING_RELEASED, ReleaseRecord, encode_record
from tests.integration.ledger.ruin import edit_record, fetch, index_of, rewrite_records, seen, tamper, time_of, verify
from tests.support.ledger_builders import id_of

ALICE = id_of("alice")
BEFORE_ALL, AFTER_ALL = -9_000, 1_000_000
"""Journal indexes in pages of their own."""


@pytest.mark.parametrize("elsewhere", [BEFORE_ALL, AFTER_ALL])
async def test_an_entry_moved_far_from_its_record_is_one_finding(dsn: str, elsewhere: int) -> None:
    index = await fetch(dsn, "SELECT journal_index FROM ledger.entries WHERE account_id = $1 AND seq = 3", ALICE)
    await tamper(dsn, f"UPDATE ledger.entries SET journal_index = {elsewhere} WHERE account_id = '{ALICE}' AND seq = 3")
    found = await verify(dsn)
    differing = [("journal_index", str(elsewhere), str(index))]
    assert seen(found, "entries") == [("entry_altered", f"{ALICE}/3", differing)]
    assert len(found.findings) == 1
    assert found.findings[0].index == index


@pytest.mark.parametrize("elsewhere", [BEFORE_ALL, AFTER_ALL])
async def test_a_transfer_moved_far_from_its_record_is_one_finding(dsn: str, elsewhere: int) -> None:
    small = id_of("small 3")
    index = await index_of(dsn, small, "posted")
    await tamper(dsn, f"UPDATE ledger.transfers SET journal_index = {elsewhere} WHERE transfer_id = '{small}'")
    found = await verify(dsn)
    differing = [("journal_index", str(elsewhere), str(index))]
    assert seen(found, "transfers") == [("record_altered", small, differing)]
    assert len(found.findings) == 1


async def test_the_transfer_tells_what_its_changed_record_said(dsn: str) -> None:
    index = await index_of(dsn, id_of("no"), "blocked")
    await edit_record(dsn, index, b'"code":"amount_limit_exceeded"', b'"code":"too_much"')
    found = await verify(dsn)
    differing = [("code", "too_much", "amount_limit_exceeded")]
    assert seen(found, "journal") == [("record_altered", f"0/{index}", differing)]
    assert len(found.findings) == 1


async def test_fees_of_a_settlement_that_are_no_list_are_named(dsn: str) -> None:
    where = f"transfer_id = '{id_of('c1')}'"
    await tamper(dsn, f"UPDATE ledger.settlements SET fees = '{{}}' WHERE {where}")
    found = await verify(dsn)
    assert seen(found, "settlements") == [("record_altered", id_of("c1"), [("fees", "b'{}'", "a list of fees")])]
    assert len(found.findings) == 1


async def test_a_settlement_without_a_record_of_its_transfer_is_named(dsn: str) -> None:
    index = await fetch(dsn, "SELECT min(journal_index) FROM ledger.journal WHERE kind = 'account.changed'")
    where = f"transfer_id = '{id_of('c1')}'"
    right = await fetch(dsn, f"SELECT journal_index FROM ledger.transfers WHERE {where}")
    await tamper(dsn, f"UPDATE ledger.transfers SET journal_index = {index} WHERE {where}")
    found = await verify(dsn)
    assert seen(found, "settlements") == [("record_altered", id_of("c1"), [])]
    differing = [("journal_index", str(index), str(right))]
    assert seen(found, "transfers") == [("record_altered", id_of("c1"), differing)]


async def test_a_command_answered_by_the_release_of_a_finding_is_named(dsn: str) -> None:
    refused = id_of("too much of c1")
    index = await fetch(dsn, "SELECT journal_index FROM ledger.commands WHERE command_id = $1", refused)
    text = await fetch(dsn, "SELECT record FROM ledger.journal WHERE journal_index = $1", index)
    release = ReleaseRecord(
        actor_id=id_of("admin"),
        finding_digest="00" * 32,
        finding_id=id_of("finding"),
        index=index,
        kind=FINDING_RELEASED,
        reason_commitment="",
        shard=0,
        time=await time_of(dsn, index),
    )
    await rewrite_records(dsn, {index: (text, encode_record(release))})
    await tamper(dsn, f"UPDATE ledger.journal SET kind = '{FINDING_RELEASED}' WHERE journal_index = {index}")
    found = await verify(dsn)
    differing = [("journal_index", str(index), "a record with this command's id")]
    assert seen(found, "commands") == [("record_altered", refused, differing)]
    assert len(found.findings) == 1


@pytest.mark.parametrize("table", ["commands", "reversals"])
async def test_a_row_proven_by_what_no_ledger_wrote_into_another_shard_is_named(dsn: str, table: str) -> None:
    key, row = f"{table[:-1]}_id", f"SELECT ctid FROM ledger.{table} ORDER BY {table}::text LIMIT 1"
    row_id = await fetch(dsn, f"SELECT {key}::text FROM ledger.{table} WHERE ctid = ({row})")
    await tamper(
        dsn,
        "INSERT INTO ledger.journal (shard, journal_index, kind, transfer_id, record, leaf_hash, chain_hash) "
        "SELECT 1, journal_index, kind, transfer_id, 'nothing', leaf_hash, chain_hash FROM ledger.journal",
        f"UPDATE ledger.{table} SET shard = 1 WHERE ctid = ({row})",
    )
    found = await verify(dsn)
    assert seen(found, table) == [("record_altered", row_id, [("shard", "1", "0")])]
    assert len(found.findings) == 1


async def test_of_more_damage_than_anybody_reads_the_first_is_told(dsn: str) -> None:
    await tamper(dsn, "UPDATE ledger.entries SET amount_minor = amount_minor + 1")
    found = await verify(dsn)
    assert [one.kind for one in found.findings] == ["entry_altered"] * FINDINGS_MAX
    first = await fetch(dsn, "SELECT min(journal_index) FROM ledger.entries")
    assert found.findings[0].index == first
    ((field, stored, computed),) = msgspec.to_builtins(found.findings[0].differences)
    assert (field, int(stored) - int(computed)) == ("amount_minor", 1)
    assert found.root == "", "what comes after is not looked at"
