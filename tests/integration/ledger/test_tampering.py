"""One value changed in each column of each table, behind the ledger's back: the change is found, and named.

Whoever adds a column says here whether the proof covers it; a column without a verdict fails.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import pytest

from tests.integration.ledger.histories import rewrite_last
from tests.integration.ledger.ruin import tamper, verify
from tests.support.api_world import admin_connection
from tests.support.ledger_builders import id_of

CHANGES: Final = {
    "bigint": "{0} + 1000",
    "integer": "{0} + 1000",
    "uuid": "gen_random_uuid()",
    "text": "'x' || {0}",
    "bytea": "set_byte({0}, octet_length({0}) - 3, (get_byte({0}, octet_length({0}) - 3) + 1) % 256)",
    "timestamp with time zone": "{0} + interval '1 second'",
    "boolean": "NOT {0}",
    "ARRAY": "{0} || {0}[1:1]",
}


class Covered(NamedTuple):
    """A change is found as `kind`, in the column's own table, and names `field` (the column unless said otherwise)."""

    kind: str
    field: str | None = ""
    where: str = "true"
    change: str = ""


class Open(NamedTuple):
    """What the proof does not cover, and why that is right."""

    because: str


Verdict = Covered | Open
ALICE: Final = f"account_id = '{id_of('alice')}'"
TRANSFER: Final = f"transfer_id = '{id_of('t')}'"
HOLD: Final = f"transfer_id = '{id_of('c1')}'"
_PERSONAL: Final = Open("whose account it is stands in the service accounts; no record of a movement names it")
_MARK: Final = Open("how far the bus was told; publishing again does no harm")
_AUDIT: Final = Open("a state whose signature fails is not gone on from; who released what stands in the journal")
_ASSETS: Final = Open("what an asset's minor unit is called; records name code and minor units")
_COMPARED: Final = Open("what a comparison found; it can be made again at any time")
_ANOTHER_SIGNATURE: Final = (
    "overlay(note placing CASE substr(note, length(note) - 20, 1) WHEN 'x' THEN 'y' ELSE 'x' END "
    "from length(note) - 20)"
)
_FACTS: Final = Open("the numbers that explain a refusal; its code is in the record")

VERDICTS: dict[str, Mapping[str, Verdict]] = {
    "accounts": {
        "account_id": Covered("missing_record", None, ALICE),
        "account_number": _PERSONAL,
        "owner_id": _PERSONAL,
        "asset": Covered("balance_altered", where=ALICE, change="'EUR'"),
        "kind": _PERSONAL,
        "status": Covered("balance_altered", where=ALICE, change="'frozen'"),
        "posted_minor": Covered("balance_altered", where=ALICE),
        "pending_in_minor": Covered("balance_altered", where=ALICE),
        "pending_out_minor": Covered("balance_altered", where=ALICE),
        "minimum_minor": Covered("balance_altered", where=ALICE),
        "last_seq": Covered("balance_altered", where=ALICE),
        "version": Open("guards a write against another; says nothing about money"),
        "opened_at": _PERSONAL,
        "maximum_minor": Covered("balance_altered", where=ALICE, change="maximum_minor - 1"),
        "type": Open("how reports group it; its chart of accounts is code"),
        "code": Open("how reports group it; its chart of accounts is code"),
    },
    "entries": {
        column: Covered("entry_altered", where=f"{ALICE} AND {TRANSFER}")
        for column in (
            "account_id",
            "seq",
            "transfer_id",
            "amount_minor",
            "balance_after_minor",
            "posted_at",
            "journal_index",
        )
    },
    "transfers": {
        "transfer_id": Covered("record_altered", where=TRANSFER),
        "kind": Covered("record_altered", where=TRANSFER, change="'deposit'"),
        "status": Covered("record_altered", where=TRANSFER, change="'held'"),
        "version": Covered("record_altered", where=TRANSFER),
        "code": Covered("record_altered", where=TRANSFER),
        "reasons": Covered("record_altered", where=TRANSFER, change="ARRAY['review']"),
        "facts": _FACTS,
        "shard": Covered("record_altered", where=TRANSFER),
        "journal_index": Covered("record_altered", where=TRANSFER),
        "changed_at": Covered("record_altered", where=TRANSFER),
        "attempts": Open("how often the writer tried, for operators; says nothing about money"),
    },
    "settlements": {
        "transfer_id": Covered("missing_record", None, HOLD),
        "shard": Covered("record_altered", where=HOLD),
        "legs_index": Covered("record_altered", where=HOLD),
        "resolver": Covered("record_altered", where=HOLD, change="'fraud'"),
        "expires_at": Covered("record_altered", where=HOLD),
        "fee_schedule": Covered("record_altered", where=HOLD),
        "amounts_minor": Covered("record_altered", where=HOLD),
        "captured_minor": Covered("record_altered", where=HOLD),
        "reversed_minor": Covered("record_altered", where=HOLD),
        "fees": Covered("record_altered", where=HOLD),
        "is_open": Covered("record_altered", where=HOLD),
    },
    "reversals": {
        "reversal_id": Covered("missing_record", None),
        "transfer_id": Covered("record_altered"),
        "actor_id": Covered("record_altered"),
        "amounts_minor": Covered("record_altered"),
        "reason_commitment": Covered("record_altered"),
        "shard": Covered("record_altered"),
        "journal_index": Covered("record_altered"),
        "reversed_at": Covered("record_altered"),
    },
    "commands": {
        "command_id": Covered("missing_record", None),
        "kind": Covered("record_altered"),
        "subject_id": Covered("record_altered"),
        "status": Covered("record_altered", where="status = 'done'", change="'refused'"),
        "code": Covered("record_altered"),
        "facts": _FACTS,
        "shard": Covered("record_altered"),
        "journal_index": Covered("record_altered"),
        "decided_at": Covered("record_altered"),
    },
    "fee_schedules": {
        "version": Covered("missing_record", None),
        "rules": Covered("record_altered"),
        "sha256": Covered("record_altered"),
        "published_by": Covered("record_altered"),
        "shard": Covered("record_altered"),
        "journal_index": Covered("record_altered"),
        "published_at": Covered("record_altered"),
    },
    "journal": {
        "shard": Covered("missing_record", None),
        "journal_index": Covered("missing_record", None),
        "kind": Covered("record_altered", where="journal_index = 4", change="'transfer.refused'"),
        "transfer_id": Covered("record_altered", where="journal_index = 4"),
        "record": Covered(
            "record_altered",
            "amount_minor",
            f"{TRANSFER} AND kind = 'transfer.posted'",
            "convert_to(replace(convert_from(record, 'UTF8'), ':300,', ':301,'), 'UTF8')",
        ),
        "leaf_hash": Covered("record_altered", None, TRANSFER),
        "chain_hash": Covered("chain_broken"),
    },
    "tree_tiles": {
        "shard": Covered("missing_record", None),
        "level": Covered("missing_record", None),
        "tile_index": Covered("missing_record", None),
        "root": Covered("chain_broken"),
        "hashes": Covered("chain_broken"),
    },
    "blocks": {
        "shard": Covered("sequence_gap", None, "size > 100"),
        "size": Covered("tail_cut", where="size > 300"),
        "previous_size": Covered("sequence_gap", None, "size > 300"),
        "root": Covered("chain_broken"),
        "chain_hash": Covered("chain_broken"),
        "sealed_at": Covered("record_altered"),
    },
    "checkpoints": {
        "shard": Covered("missing_record", None),
        "size": Covered("missing_record", None),
        "note": Covered("checkpoint_forged", change=_ANOTHER_SIGNATURE),
    },
    "heads": {
        "shard": Covered("missing_record", None),
        "size": Covered("tail_cut"),
        "chain_hash": Covered("chain_broken"),
        "last_record_at": Covered("chain_broken"),
        "published_size": _MARK,
        "halted": Open("an operator's switch"),
    },
}
VERDICTS |= {
    "unposted_transfers": dict.fromkeys(
        ("account_id", "journal_index", "transfer_id"),
        Open("where lists of transfers look; what they show is read from the records"),
    ),
    "origins": dict.fromkeys(
        ("shard", "origin", "started_at", "note"),
        Open("its note alone is read, and only under a trusted signature; without it the old floor binds"),
    ),
    "verifications": dict.fromkeys(
        (
            *("verification_id", "shard", "scope", "subject_id", "size", "records", "findings", "note"),
            "finished_at",
        ),
        _AUDIT,
    ),
    "assets": dict.fromkeys(("code", "exponent", "added_at"), _ASSETS),
    "reconciliations": dict.fromkeys(("run_id", "scope", "cause", "asked_by", "began_at"), _COMPARED),
    "reconciliation_results": dict.fromkeys(("run_id", "ended_at", "verdict", "differences", "report"), _COMPARED),
    "findings": dict.fromkeys(("finding_id", "shard", "digest", "document", "found_at"), _AUDIT),
    "releases": dict.fromkeys(
        ("finding_id", "actor_id", "reason", "salt", "shard", "journal_index", "released_at"), _AUDIT
    ),
    "repairs": dict.fromkeys(
        ("shard", "journal_index", "account_id", "actor_id", "reason", "salt", "repaired_at"),
        Open("who repaired what stands in the journal; a row too many lets everything be verified again"),
    ),
    "audit_log": dict.fromkeys(
        (
            *("entry_id", "at", "actor_id", "actor_kind", "action", "resource_type", "resource_id", "address"),
            *("user_agent", "request_id", "outcome", "reason", "facts"),
        ),
        Open("what counts is the gateway's copy, chained there as soon as it was told; this one tells it"),
    ),
}
MESSAGES: Final = {"outbox", "outbox_lease", "dead_letters", "audit_repeats"}
"""Tables of messages under way: delivery looks after them."""
CASES: Final = [
    (table, column, verdict)
    for table, columns in VERDICTS.items()
    for column, verdict in columns.items()
    if isinstance(verdict, Covered)
]


async def change_one(dsn: str, table: str, column: str, verdict: Covered) -> None:
    async with admin_connection(dsn) as connection:
        kind = await connection.fetchval(
            "SELECT data_type FROM information_schema.columns "
            "WHERE table_schema = 'ledger' AND table_name = $1 AND column_name = $2",
            table,
            column,
        )
    change = verdict.change or CHANGES[kind].format(column)
    row = f"SELECT ctid FROM ledger.{table} WHERE {verdict.where} ORDER BY {table}::text LIMIT 1"
    async with admin_connection(dsn) as connection:
        assert await connection.fetchval(
            f"SELECT {column} IS DISTINCT FROM {change} FROM ledger.{table} WHERE ctid = ({row})"
        ), "nothing would be changed"
    await tamper(dsn, f"UPDATE ledger.{table} SET {column} = {change} WHERE ctid = ({row})")


async def test_the_history_verifies_before_anybody_touches_it(dsn: str) -> None:
    assert (await verify(dsn)).findings == []


async def test_every_column_of_the_ledger_has_a_verdict(dsn: str) -> None:
    async with admin_connection(dsn) as connection:
        rows = await connection.fetch(
            "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'ledger'"
        )
    columns = {(row[0], row[1]) for row in rows if row[0] not in MESSAGES and not row[0].startswith("alembic")}
    judged = {(table, column) for table, verdicts in VERDICTS.items() for column in verdicts}
    assert columns == judged


@pytest.mark.parametrize(("table", "column", "verdict"), CASES, ids=[f"{case[0]}.{case[1]}" for case in CASES])
async def test_a_changed_value_is_found_in_its_table_row_and_field(
    dsn: str, table: str, column: str, verdict: Covered
) -> None:
    await change_one(dsn, table, column, verdict)
    findings = [finding for finding in (await verify(dsn)).findings if finding.table == table]
    field = column if verdict.field == "" else verdict.field
    assert [one for one in findings if one.kind == verdict.kind and (field is None or field in one.fields)], findings
    assert all(one.row and one.what_to_do for one in findings)
    assert all(different.stored != different.computed for one in findings for different in one.differences)


CUT_TAIL: Final = (
    "DELETE FROM ledger.journal WHERE journal_index >= 300",
    "DELETE FROM ledger.entries WHERE journal_index >= 300",
    "DELETE FROM ledger.transfers WHERE journal_index >= 300",
)


async def test_a_cut_tail_is_found_by_what_was_sealed_over_it(dsn: str) -> None:
    await tamper(dsn, *CUT_TAIL)
    found = {(one.kind, one.table) for one in (await verify(dsn)).findings}
    assert {("tail_cut", "heads"), ("tail_cut", "blocks"), ("tail_cut", "checkpoints")} <= found


async def test_two_swapped_records_are_found(dsn: str) -> None:
    await tamper(
        dsn,
        "UPDATE ledger.journal SET journal_index = -1 WHERE journal_index = 60",
        "UPDATE ledger.journal SET journal_index = 60 WHERE journal_index = 61",
        "UPDATE ledger.journal SET journal_index = 61 WHERE journal_index = -1",
    )
    found = {(one.kind, one.row, one.fields) for one in (await verify(dsn)).findings}
    assert ("record_altered", "0/60", ("journal_index",)) in found
    assert ("record_altered", "0/61", ("journal_index",)) in found


async def test_a_removed_record_is_named(dsn: str) -> None:
    await tamper(dsn, "DELETE FROM ledger.journal WHERE journal_index = 60")
    assert [(one.kind, one.row) for one in (await verify(dsn)).findings] == [("missing_record", "0/60")]


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        ("entries", "sequence_gap"),
        ("transfers", "missing_record"),
        ("settlements", "missing_record"),
        ("commands", "missing_record"),
        ("reversals", "missing_record"),
        ("accounts", "missing_record"),
        ("blocks", "sequence_gap"),
        ("checkpoints", "missing_record"),
        ("tree_tiles", "missing_record"),
    ],
)
async def test_a_removed_row_is_found(dsn: str, table: str, kind: str) -> None:
    where = "posted_minor <> 0" if table == "accounts" else "true"
    row = f"SELECT ctid FROM ledger.{table} WHERE {where} ORDER BY {table}::text LIMIT 1"
    await tamper(dsn, f"DELETE FROM ledger.{table} WHERE ctid = ({row})")
    assert (kind, table) in {(one.kind, one.table) for one in (await verify(dsn)).findings}


async def test_entries_and_balances_that_agree_and_no_record_made_are_found(dsn: str) -> None:
    await tamper(
        dsn,
        "INSERT INTO ledger.entries SELECT account_id, last_seq + 1, gen_random_uuid(), 500, posted_minor + 500, "
        f"now(), 1 FROM ledger.accounts WHERE {ALICE}",
        f"UPDATE ledger.accounts SET posted_minor = posted_minor + 500, last_seq = last_seq + 1 WHERE {ALICE}",
    )
    found = {(one.kind, one.table) for one in (await verify(dsn)).findings}
    assert {("entry_altered", "entries"), ("balance_altered", "accounts")} <= found


async def test_a_block_written_again_with_its_hashes_fails_on_its_signature(dsn: str) -> None:
    """Record, leaf, chain, root, head and note are all made anew; only the key is missing."""
    await rewrite_last(dsn)
    findings = (await verify(dsn)).findings
    assert {one.kind for one in findings} == {"checkpoint_forged"}
    assert findings[0].table == "checkpoints"
