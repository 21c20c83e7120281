"""Entries, transfers and records of a large batch, as COPY takes them. Made while PostgreSQL writes something else."""

import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from libs.common.db.copy_rows import (
    NULL,
    field,
    jsonb_field,
    text_field,
    texts_field,
    timestamp_value,
    uuid_value,
)
from services.ledger.domain.books import Entry
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

# Some 100 and 200 kB. PostgreSQL begins with a piece when all of it is there, and each costs a round of the loop.
_ENTRIES_A_PIECE: Final = 1_000
_RECORDS_A_PIECE: Final = 250

# Each length stands before its value, and the number of fields before the first.
_ENTRY: Final = struct.Struct("!h i16s iq i16s iq iq iq iq").pack
_TRANSFER_ID: Final = struct.Struct("!h i16s").pack
_TRANSFER_END: Final = struct.Struct("!iq ih ii iq").pack
_RECORD_BEGIN: Final = struct.Struct("!h ii iq").pack
_UUID: Final = struct.Struct("!i16s").pack
_LENGTH: Final = struct.Struct("!i").pack
_HASHES: Final = struct.Struct("!i32s i32s").pack


class CopiedRows:
    """The rows of one batch. Makes bytes of each id once."""

    def __init__(self, batch: Batch) -> None:
        """Take the batch, decided or not yet."""
        self._batch = batch
        self._ids = _Ids()
        self._packed = 0
        self._at = timestamp_value(batch.recorded_at)

    def entries(self) -> Iterator[bytes]:
        """Yield the entries that were not asked for before, in pieces. What is undecided is decided between them."""
        for _ in (None,) if self._batch.undecided is None else self._batch.undecided:
            made = self._batch.decisions.books.entries[self._packed :]
            self._packed += len(made)
            yield from _pieces(self._entries(made), _ENTRIES_A_PIECE)

    def _entries(self, entries: Iterable[Entry]) -> Iterator[bytes]:
        ids, at = self._ids, self._at
        return (
            _ENTRY(7, 16, ids[account], 8, seq, 16, ids[transfer], 8, index, 8, amount, 8, balance, 8, at)
            for account, seq, transfer, index, amount, balance in entries
        )

    def transfers(self) -> bytes:
        """Return the states of all transfers that are new in this batch."""
        ids, shard, states = self._ids, self._batch.shard, _States()
        return b"".join(
            _TRANSFER_ID(11, 16, ids[transfer.transfer_id])
            + states[transfer.kind, transfer.status, transfer.version, transfer.code, transfer.reasons]
            + (jsonb_field(encode_facts(transfer.facts)) if transfer.facts else NULL)
            + _TRANSFER_END(8, transfer.journal_index, 2, transfer.attempts, 4, shard, 8, self._at)
            for transfer in self._batch.decisions.inserted.values()
        )

    def records(self, sealed: Sealed) -> Iterator[bytes]:
        """Yield the batch's records of the journal in pieces."""
        ids, batch = self._ids, self._batch
        kinds = {change.kind: text_field(change.kind) for change in batch.decisions.changes}
        rows = (
            b"".join(
                (
                    _RECORD_BEGIN(7, 4, batch.shard, 8, index),
                    kinds[change.kind],
                    _UUID(16, ids[change.state.transfer_id]) if isinstance(change.state, Transfer) else NULL,
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
        return _pieces(rows, _RECORDS_A_PIECE)


def _pieces(rows: Iterator[bytes], size: int) -> Iterator[bytes]:
    while piece := b"".join(islice(rows, size)):
        yield piece


class _Ids(dict[str, bytes]):
    """The bytes of ids, each made when first asked for."""

    def __missing__(self, text: str) -> bytes:
        made = self[text] = uuid_value(text)
        return made


class _States(dict[tuple[str, str, int, str, tuple[str, ...]], bytes]):
    """Kind, status, version, code and reasons as fields: a batch has few that differ."""

    def __missing__(self, state: tuple[str, str, int, str, tuple[str, ...]]) -> bytes:
        kind, status, version, code, reasons = state
        made = self[state] = b"".join(
            (text_field(kind), text_field(status), field(_LENGTH(version)), text_field(code), texts_field(reasons))
        )
        return made
