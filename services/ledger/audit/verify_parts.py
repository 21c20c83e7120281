"""One account or one transfer alone: what it shows can be relied on; that nothing is missing, only all records tell."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec

from libs.common.clock import from_rfc3339
from libs.common.proof.signed_note import Vkey
from services.ledger.audit.check_inclusion import check_inclusion, signed_tree
from services.ledger.audit.check_transfers import parties
from services.ledger.audit.findings import (
    BALANCES,
    CannotVerify,
    Difference,
    Finding,
    Verification,
    altered_record,
    differences,
)
from services.ledger.audit.replay_journal import CAPTURED, POSTED, ReplayJournal
from services.ledger.audit.verify_everything import Progress
from services.ledger.audit.verify_since import legs_record
from services.ledger.store.audit import Audit
from services.ledger.store.journal_record import TransferRecord, decode_record
from services.ledger.store.transfer_records import find_entries, find_records

_PAGE: Final = 2_000
_MOVES: Final = frozenset({POSTED, CAPTURED})


async def verify_account(audit: Audit, shard: int, account_id: str, progress: Progress) -> Verification:
    """Check an account's entries against their records, one after the other, and its row against the last of them."""
    found = Verification(scope="account", size=await audit.end())
    row = await audit.account(account_id)
    if row is None:
        raise CannotVerify(f"there is no account {account_id}")
    seq = balance_minor = 0
    while page := await audit.account_entries(account_id, seq, _PAGE):
        records = await _records(audit, shard, {entry["journal_index"] for entry in page}, found)
        moved = {index: _amounts_of(record, account_id) for index, record in records.items()}
        for entry in page:
            balance_minor += entry["amount_minor"]
            _check_entry(entry, account_id, seq, balance_minor, moved, records, found)
            seq, balance_minor = entry["seq"], entry["balance_after_minor"]
        found.entries += len(page)
        progress(seq, row["last_seq"])
    pending = await _pending(audit, account_id)
    stored = {name: row[name] for name in ("posted_minor", "last_seq", "pending_in_minor", "pending_out_minor")}
    computed = {"posted_minor": balance_minor, "last_seq": seq} | pending
    if stored != computed:
        found.find(
            Finding(
                "balance_altered",
                "accounts",
                account_id,
                "the account is not what its entries and holds make it",
                BALANCES,
                parties=(account_id,),
                differences=differences(stored, computed),
            )
        )
    return found


async def verify_transfer(audit: Audit, vkeys: Sequence[Vkey], shard: int, transfer_id: str) -> Verification:
    """Check a transfer's records, that the signed tree holds them, its row and the entries the records made."""
    found = Verification(scope="transfer", size=await audit.end())
    row = await audit.transfer(transfer_id)
    places = (await find_records(audit.connection, [transfer_id]))[transfer_id]
    if row is None and not places:
        raise CannotVerify(f"there is no transfer {transfer_id}")
    by_index = await _records(audit, shard, {place.journal_index for place in places if place.shard == shard}, found)
    records = [record for _, record in sorted(by_index.items()) if record.transfer_id == transfer_id]
    _check_transfer(row, records, transfer_id, found)
    signed = await signed_tree(audit, vkeys, shard, found)
    for record in records:
        if signed is not None:
            await check_inclusion(audit, signed, shard, record.index, found)
        await _check_moves(audit, record, found)
    return found


def _check_transfer(
    row: Mapping[str, Any] | None, records: Sequence[TransferRecord], transfer_id: str, found: Verification
) -> None:
    """Compare a transfer's row with its newest record, and its version with their number."""
    if not records:
        _find_unproven(row, transfer_id, found)
        return
    newest = records[-1]
    computed = {
        "kind": newest.transfer_kind,
        "status": newest.status,
        "version": len(records),
        "code": newest.code,
        "changed_at": from_rfc3339(newest.time),
        "reasons": list(newest.reasons),
        "journal_index": newest.index,
    }
    stored = dict.fromkeys(computed) if row is None else {name: row[name] for name in computed}
    if row is not None:
        stored["reasons"] = list(row["reasons"])
    if stored != computed:
        found.find(
            Finding(
                "missing_record" if row is None else "record_altered",
                "transfers",
                transfer_id,
                "the transfer has records and no row"
                if row is None
                else "the transfer is not in the state its record says",
                BALANCES,
                newest.index,
                transfer_id,
                parties(newest),
                differences=differences(stored, computed),
            )
        )


def _find_unproven(row: Mapping[str, Any] | None, transfer_id: str, found: Verification) -> None:
    index = None if row is None else row["journal_index"]
    found.find(
        Finding(
            "record_altered",
            "transfers",
            transfer_id,
            "no record proves its state",
            BALANCES,
            index,
            transfer_id,
            differences=(Difference("journal_index", str(index), "its newest record"),),
        )
    )


async def _records(audit: Audit, shard: int, indexes: set[int], found: Verification) -> dict[int, TransferRecord]:
    """Return the records that are what they were hashed as."""
    records = {}
    for row in await audit.records(sorted(indexes)):
        found.records += 1
        made = sha256(b"\x00" + row["record"]).digest()
        if made != row["leaf_hash"]:
            found.find(altered_record(shard, row["journal_index"], row["leaf_hash"], made, row["transfer_id"]))
        try:
            record = decode_record(row["record"], row["kind"])
        except msgspec.MsgspecError:
            continue
        if isinstance(record, TransferRecord):
            records[row["journal_index"]] = record
    return records


def _amounts_of(record: TransferRecord, account_id: str) -> list[int]:
    """Return the amounts of the entries that a record makes on an account, in their order."""
    if record.kind not in _MOVES:
        return []
    made = ReplayJournal().follow([msgspec.structs.replace(record, version=1)])
    pairs = zip(made.account_ids, made.amounts_minor, strict=True)
    return [amount_minor for one, amount_minor in pairs if one == account_id]


def _check_entry(
    entry: Any,
    account_id: str,
    seq: int,
    balance_minor: int,
    moved: dict[int, list[int]],
    records: dict[int, TransferRecord],
    found: Verification,
) -> None:
    row, index = f"{account_id}/{entry['seq']}", entry["journal_index"]
    if entry["seq"] != seq + 1:
        found.find(
            Finding(
                "sequence_gap",
                "entries",
                row,
                f"there is no entry {seq + 1} before it",
                BALANCES,
                index,
                entry["transfer_id"],
                (account_id,),
                differences=(Difference("seq", str(entry["seq"]), str(seq + 1)),),
            )
        )
    record = records.get(index)
    amounts_minor = moved.get(index, [])
    computed = {
        "amount_minor": amounts_minor.pop(0) if amounts_minor else 0,
        "balance_after_minor": balance_minor,
        "transfer_id": "" if record is None else record.transfer_id,
        "posted_at": 0.0 if record is None else from_rfc3339(record.time).timestamp(),
    }
    stored = {name: entry[name] for name in computed}
    if stored != computed:
        found.find(
            Finding(
                "entry_altered",
                "entries",
                row,
                "the entry is not what its record moved",
                BALANCES,
                index,
                entry["transfer_id"],
                (account_id,),
                differences=differences(stored, computed),
            )
        )


async def _pending(audit: Audit, account_id: str) -> dict[str, int]:
    """Return what open holds reserve on the account, by their first records and what was captured since."""
    pending = {"pending_in_minor": 0, "pending_out_minor": 0}
    for row in await audit.open_holds():
        first = legs_record(row["record"])
        for leg, captured_minor in zip(first.legs if first else [], row["captured_minor"], strict=False):
            if leg.source_account_id == account_id:
                pending["pending_out_minor"] += leg.amount_minor - captured_minor
            if leg.destination_account_id == account_id:
                pending["pending_in_minor"] += leg.amount_minor - captured_minor
    return pending


async def _check_moves(audit: Audit, record: TransferRecord, found: Verification) -> None:
    """Compare the record's entries; their numbers and balances only all records of the accounts can tell."""
    if record.kind not in _MOVES:
        return
    made = ReplayJournal().follow([msgspec.structs.replace(record, version=1)])
    expected = sorted(zip(made.account_ids, made.amounts_minor, strict=True))
    account_ids = sorted(set(made.account_ids))
    stored = await find_entries(audit.connection, record.index, account_ids)
    if stored != expected:
        # The search relies on the order of the accounts' entries; only all of them tell what is really there.
        rows = await audit.entries_of(record.index, account_ids)
        stored = sorted((row["account_id"], row["amount_minor"]) for row in rows)
    found.entries += len(stored)
    if stored != expected:
        found.find(
            Finding(
                "entry_altered",
                "entries",
                f"of record {record.index}",
                "the entries are not what the record moved",
                BALANCES,
                record.index,
                record.transfer_id,
                parties(record),
                differences=(Difference("amount_minor", str(stored), str(expected)),),
            )
        )
