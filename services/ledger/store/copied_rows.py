"""Entries, transfers and records of a large batch, as COPY takes them. Made while PostgreSQL writes something else."""

import struct
from typing import Final

from libs.common.db.copy_rows import (
    NULL,
    copy_body,
    field,
    jsonb_field,
    text_field,
    texts_field,
    timestamp_value,
    uuid_value,
)
from services.ledger.domain.transfer import Transfer
from services.ledger.store.batch import Batch, Sealed
from services.ledger.store.money import encode_facts

ENTRIES: Final = (
    "account_id",
    "seq",
    "transfer_id",
    "journal_index",
    "amount_minor",
    "balance_after_minor",
    "posted_at",
)
TRANSFERS: Final = (
    "transfer_id",
    "kind",
    "status",
    "version",
    "code",
    "reasons",
    "facts",
    "journal_index",
    "attempts",
    "shard",
    "changed_at",
)
JOURNAL: Final = ("shard", "journal_index", "kind", "transfer_id", "record", "leaf_hash", "chain_hash")

# Each length stands before its value, and the number of fields before the first.
_ENTRY: Final = struct.Struct("!h i16s iq i16s iq iq iq iq").pack
_TRANSFER_ID: Final = struct.Struct("!h i16s").pack
_TRANSFER_END: Final = struct.Struct("!iq ih ii iq").pack
_RECORD_BEGIN: Final = struct.Struct("!h ii iq").pack
_UUID: Final = struct.Struct("!i16s").pack
_LENGTH: Final = struct.Struct("!i").pack
_HASHES: Final = struct.Struct("!i32s i32s").pack


def entry_rows(batch: Batch) -> bytes:
    """Return all entries of the batch."""
    books = batch.decisions.books
    accounts = {account_id: uuid_value(account_id) for account_id in books.changed}
    transfers = {transfer_id: uuid_value(transfer_id) for transfer_id in {entry[2] for entry in books.entries}}
    posted_at = timestamp_value(batch.recorded_at)
    return copy_body(
        _ENTRY(7, 16, accounts[account], 8, seq, 16, transfers[transfer], 8, index, 8, amount, 8, balance, 8, posted_at)
        for account, seq, transfer, index, amount, balance in books.entries
    )


def transfer_rows(batch: Batch) -> bytes:
    """Return the states of all transfers that are new in this batch."""
    changed_at = timestamp_value(batch.recorded_at)
    states = _States()
    return copy_body(
        _TRANSFER_ID(11, 16, uuid_value(transfer.transfer_id))
        + states[transfer.kind, transfer.status, transfer.version, transfer.code, transfer.reasons]
        + (jsonb_field(encode_facts(transfer.facts)) if transfer.facts else NULL)
        + _TRANSFER_END(8, transfer.journal_index, 2, transfer.attempts, 4, batch.shard, 8, changed_at)
        for transfer in batch.decisions.inserted.values()
    )


class _States(dict[tuple[str, str, int, str, tuple[str, ...]], bytes]):
    """Kind, status, version, code and reasons as fields: a batch has few that differ."""

    def __missing__(self, state: tuple[str, str, int, str, tuple[str, ...]]) -> bytes:
        kind, status, version, code, reasons = state
        made = self[state] = b"".join(
            (text_field(kind), text_field(status), field(_LENGTH(version)), text_field(code), texts_field(reasons))
        )
        return made


def record_rows(batch: Batch, sealed: Sealed) -> bytes:
    """Return the batch's records of the journal."""
    kinds = {change.kind: text_field(change.kind) for change in batch.decisions.changes}
    return copy_body(
        b"".join(
            (
                _RECORD_BEGIN(7, 4, batch.shard, 8, index),
                kinds[change.kind],
                _UUID(16, uuid_value(change.state.transfer_id)) if isinstance(change.state, Transfer) else NULL,
                _LENGTH(len(record)),
                record,
                _HASHES(32, leaf, 32, chain),
            )
        )
        for index, change, record, leaf, chain in zip(
            range(batch.before.size, sealed.after.size),
            batch.decisions.changes,
            sealed.records,
            sealed.leaves,
            sealed.chain,
            strict=True,
        )
    )
