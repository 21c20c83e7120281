"""Entries and transfers against what the records make them: column by column, a page at a time.

Only a page that differs is taken apart. What stands on another page than it should is matched at the end, by its key,
then by its record and account, then by its record and amount.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from services.ledger.audit.check_proof import CheckedPage
from services.ledger.audit.findings import (
    BALANCES,
    EDITED,
    Difference,
    Finding,
    Verification,
    row_differences,
)
from services.ledger.audit.replay_journal import ReplayJournal
from services.ledger.store.audit import PAGE, Audit, Columns, ahead
from services.ledger.store.journal_record import JournalRecord, RecordFee, RecordLeg, TransferRecord

_ENTRY: Final = (
    "journal_index",
    "account_id",
    "seq",
    "transfer_id",
    "amount_minor",
    "balance_after_minor",
    "posted_at",
)
_TRANSFER: Final = (
    "journal_index",
    "transfer_id",
    "shard",
    "kind",
    "status",
    "version",
    "code",
    "reasons",
    "changed_at",
)
_ALL_INDEXES: Final = 2**62


class _Pages:
    """Pages that PostgreSQL makes ahead; the one asked for, or nothing if no row lies there."""

    def __init__(self, pages: AsyncIterator[tuple[int, Columns]], width: int) -> None:
        self._pages = pages
        self._empty: Columns = tuple([] for _ in range(width))
        self._task: asyncio.Task[tuple[int, Columns] | None] | None = None

    async def page(self, number: int) -> tuple[Columns, list[Columns]]:
        """Return the page's columns, and those of pages before it that nobody asked for."""
        strays: list[Columns] = []
        while True:
            if self._task is None:
                self._task = await ahead(self._pages)
            row = await self._task
            if row is None or row[0] > number:
                return self._empty, strays
            self._task = await ahead(self._pages)
            if row[0] == number:
                return row[1], strays
            strays.append(row[1])

    async def rest(self) -> list[Columns]:
        """Return all pages that are left."""
        _, strays = await self.page(_ALL_INDEXES)
        return strays

    async def stop(self) -> None:
        """Ask for no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class Entry(NamedTuple):
    """One row of entries, stored or expected."""

    journal_index: int
    account_id: str
    seq: int
    transfer_id: str
    amount_minor: int
    balance_after_minor: int
    posted_at: float


class CheckBooks:
    """Compares all rows (`everything`), or only those that the records it is shown should have made."""

    def __init__(
        self, audit: Audit, replay: ReplayJournal, shard: int, found: Verification, *, everything: bool
    ) -> None:
        """Begin with nothing unmatched."""
        self._audit = audit
        self._replay = replay
        self._shard = shard
        self._found = found
        self._everything = everything
        self._entries = _Pages(audit.all_entries(), len(_ENTRY))
        self._transfers = _Pages(audit.all_transfers(), len(_TRANSFER))
        self._missing_entries: dict[tuple[str, int], Entry] = {}
        self._extra_entries: dict[tuple[str, int], Entry] = {}
        self._extra_transfers: list[tuple[Any, ...]] = []
        self._superseded: dict[str, TransferRecord] = {}

    async def check(self, page: CheckedPage) -> None:
        """Compare what the page's records made. Those that were altered are compared the other way round, too."""
        number = page.first // PAGE
        stored = None
        if self._everything:
            stored, strays = await self._entries.page(number)
            self._keep_strays(strays)
            if page.altered:
                page.records = [self._restated(record, page, stored) for record in page.records]
        made = self._replay.follow(page.records)
        expected = made.columns()
        if stored is None:
            stored = await self._audit.some_entries(made.account_ids, made.seqs)
        self._found.entries += len(made.seqs)
        if stored != expected:
            self._match_entries(_rows(stored), _rows(expected))
        await self._check_transfers(page, number)

    async def check_states(self, page: CheckedPage) -> None:
        """Compare only the transfers whose newest record is on the page; what later records say is not known."""
        await self._check_transfers(page, page.first // PAGE)

    async def finish(self) -> None:
        """Say what was left unmatched."""
        if self._everything:
            self._keep_strays(await self._entries.rest())
            for columns in await self._transfers.rest():
                self._extra_transfers += zip(*columns, strict=True)
        self._pair_entries()
        await self._find_unproven_transfers()

    async def stop(self) -> None:
        """Ask PostgreSQL for no more."""
        await self._entries.stop()
        await self._transfers.stop()

    def _keep_strays(self, strays: Iterable[Columns]) -> None:
        for columns in strays:
            self._extra_entries |= {(row.account_id, row.seq): row for row in _rows(columns)}

    def _match_entries(self, stored: list[Entry], expected: list[Entry]) -> None:
        have = {(row.account_id, row.seq): row for row in stored}
        for want in expected:
            row = have.pop((want.account_id, want.seq), None)
            if row is None:
                self._missing_entries[want.account_id, want.seq] = want
            elif row != want:
                self._find_entry(row, want)
        self._extra_entries |= have

    def _pair_entries(self) -> None:
        """Match what is missing with what is too much, so that a changed key is named as what it is."""
        for key_of in (_key, _place, _amount):
            extra = {key_of(row): row for row in self._extra_entries.values()}
            for want in list(self._missing_entries.values()):
                row = extra.pop(key_of(want), None)
                if row is not None:
                    del self._missing_entries[_key(want)], self._extra_entries[_key(row)]
                    self._find_entry(row, want)
        for want in self._missing_entries.values():
            self._found.find(
                Finding(
                    "sequence_gap",
                    "entries",
                    f"{want.account_id}/{want.seq}",
                    "the record's entry is not there",
                    BALANCES,
                    want.journal_index,
                    want.transfer_id,
                    (want.account_id,),
                )
            )
        for row in self._extra_entries.values():
            self._found.find(
                Finding(
                    "entry_altered",
                    "entries",
                    f"{row.account_id}/{row.seq}",
                    "no record has made this entry",
                    BALANCES,
                    row.journal_index,
                    row.transfer_id,
                    (row.account_id,),
                    differences=(Difference("amount_minor", str(row.amount_minor), "no entry"),),
                )
            )

    def _find_entry(self, row: Entry, want: Entry) -> None:
        self._found.find(
            Finding(
                "entry_altered",
                "entries",
                f"{row.account_id}/{row.seq}",
                "the entry is not what its record moved",
                BALANCES,
                want.journal_index,
                want.transfer_id,
                (want.account_id,),
                differences=row_differences(_ENTRY, row, want),
            )
        )

    def _restated(self, record: JournalRecord, page: CheckedPage, stored: Columns) -> JournalRecord:
        """Return the altered record as its entries tell it, and name in its finding what differs.

        Of records with one leg: with more, nobody can tell from the entries which leg was which.
        """
        finding = page.altered.get(record.index)
        if finding is None or not isinstance(record, TransferRecord) or len(record.legs) != 1:
            return record
        rows = [row for row in _rows(stored) if row.journal_index == record.index]
        told = told_by_entries(record, rows)
        if told is None:
            return record
        names = ("amount_minor", "source_account_id", "destination_account_id", "transfer_id", "fees")
        differing = row_differences(names, _said(record), _said(told))
        self._found.amend(finding, differing, tuple(dict.fromkeys(row.account_id for row in rows)))
        return told

    async def _check_transfers(self, page: CheckedPage, number: int) -> None:
        records = [record for record in page.records if isinstance(record, TransferRecord)]
        if self._everything:
            stored, strays = await self._transfers.page(number)
            for columns in strays:
                self._extra_transfers += zip(*columns, strict=True)
        else:
            ids = [record.transfer_id for record in records]
            stored = await self._audit.some_transfers(ids, page.first, page.end)
        expected = self._transfer_columns(records)
        if stored == expected and all(version == 1 for version in expected[5]):
            return
        self._match_transfers(records, expected, stored, page)

    def _transfer_columns(self, records: Sequence[TransferRecord]) -> Columns:
        epoch = self._replay.epoch
        return (
            [record.index for record in records],
            [record.transfer_id for record in records],
            [record.shard for record in records],
            [record.transfer_kind for record in records],
            [record.status for record in records],
            [record.version for record in records],
            [record.code for record in records],
            [",".join(record.reasons) for record in records],
            [epoch(record.time) for record in records],
        )

    def _match_transfers(
        self, records: Sequence[TransferRecord], expected: Columns, stored: Columns, page: CheckedPage
    ) -> None:
        rows = self._by_index(stored, {record.index: record.transfer_id for record in records})
        for record, want in zip(records, zip(*expected, strict=True), strict=True):
            before = self._superseded.pop(record.transfer_id, None)
            if before is not None and before.version != record.version - 1:
                self._find_version(record, before.version + 1)
            row = rows.pop(record.index, None)
            if row is None:
                self._superseded[record.transfer_id] = record
            elif row != want:
                self._find_transfer(row, want, page.altered.get(record.index))
        self._extra_transfers += rows.values()

    def _by_index(self, stored: Columns, ids: Mapping[int, str]) -> dict[int, tuple[Any, ...]]:
        """Return the rows by record. Of two at one record, that of another transfer is one too many."""
        rows: dict[int, tuple[Any, ...]] = {}
        for row in zip(*stored, strict=True):
            other = rows.get(row[0])
            if other is not None and row[1] != ids.get(row[0]):
                self._extra_transfers.append(row)
                continue
            if other is not None:
                self._extra_transfers.append(other)
            rows[row[0]] = row
        return rows

    def _find_version(self, record: TransferRecord, version: int) -> None:
        self._found.find(
            Finding(
                "sequence_gap",
                "journal",
                f"{self._shard}/{record.index}",
                "a state of the transfer is missing before it",
                EDITED,
                record.index,
                record.transfer_id,
                parties(record),
                differences=(Difference("version", str(record.version), str(version)),),
            )
        )

    def _find_transfer(self, row: tuple[Any, ...], want: tuple[Any, ...], altered: Finding | None) -> None:
        if altered is not None:
            # The record is what was changed: the row tells what it said.
            self._found.amend(altered, row_differences(_TRANSFER, want, row), ())
            return
        self._found.find(
            Finding(
                "record_altered",
                "transfers",
                row[1],
                "the transfer is not in the state its record says",
                BALANCES,
                want[0],
                want[1],
                differences=row_differences(_TRANSFER, row, want),
            )
        )

    async def _find_unproven_transfers(self) -> None:
        """Name the transfers whose newest record no row points at, and rows that no record proves."""
        extra = {row[1]: row for row in self._extra_transfers}
        if self._superseded and not self._everything:
            columns = await self._audit.some_transfers(list(self._superseded), 0, _ALL_INDEXES)
            extra |= {row[1]: row for row in zip(*columns, strict=True)}
        for transfer_id, record in self._superseded.items():
            row = extra.pop(transfer_id, None)
            want = next(zip(*self._transfer_columns([record]), strict=True))
            by_index = next((one for one in extra.values() if one[0] == record.index), None)
            if row is None and by_index is not None:
                row = extra.pop(by_index[1])
            if row is not None:
                self._find_transfer(row, want, None)
            else:
                self._found.find(
                    Finding(
                        "missing_record",
                        "transfers",
                        transfer_id,
                        "the record's transfer is not there",
                        BALANCES,
                        record.index,
                        transfer_id,
                        parties(record),
                    )
                )
        if self._everything:
            for row in extra.values():
                self._found.find(
                    Finding(
                        "record_altered",
                        "transfers",
                        row[1],
                        "no record proves this state",
                        BALANCES,
                        row[0],
                        row[1],
                        differences=(Difference("journal_index", str(row[0]), "a record of this transfer"),),
                    )
                )


def told_by_entries(record: TransferRecord, rows: Sequence[Entry]) -> TransferRecord | None:
    """Return the record of one leg that would have made these entries; None if no such record would."""
    debits = [row for row in rows if row.amount_minor < 0]
    fee_accounts = {fee.account_id for fee in record.fees}
    credits_ = [row for row in rows if row.amount_minor > 0 and row.account_id not in fee_accounts]
    if len(debits) != 1 or len(credits_) != 1 or sum(row.amount_minor for row in rows) != 0:
        return None
    source, destination = debits[0], credits_[0]
    leg = RecordLeg(-source.amount_minor, record.legs[0].asset, destination.account_id, source.account_id)
    fees = [RecordFee(row.account_id, row.amount_minor, 0) for row in rows if row.account_id in fee_accounts]
    return msgspec.structs.replace(record, legs=[leg], fees=fees, transfer_id=source.transfer_id)


def _said(record: TransferRecord) -> tuple[object, ...]:
    leg = record.legs[0]
    fees = [(fee.account_id, fee.amount_minor) for fee in record.fees]
    return leg.amount_minor, leg.source_account_id, leg.destination_account_id, record.transfer_id, fees


def parties(record: TransferRecord) -> tuple[str, ...]:
    """Return the accounts that a record names."""
    ids = (account for leg in record.legs for account in (leg.source_account_id, leg.destination_account_id))
    return tuple(dict.fromkeys(ids))


def _rows(columns: Columns) -> list[Entry]:
    return [Entry(*row) for row in zip(*columns, strict=True)]


def _key(row: Entry) -> tuple[str, int]:
    return row.account_id, row.seq


def _place(row: Entry) -> tuple[int, str]:
    return row.journal_index, row.account_id


def _amount(row: Entry) -> tuple[int, int]:
    return row.journal_index, row.amount_minor
