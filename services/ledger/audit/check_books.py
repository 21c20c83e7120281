"""Entries against what the records make them: column by column, a page at a time; transfers beside them.

Only a page that differs is taken apart. What stands on another page than it should is matched at the end, by its key,
then by its record and account, then by its record and amount.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from services.ledger.audit.check_proof import CheckedPage
from services.ledger.audit.check_transfers import CheckTransfers
from services.ledger.audit.findings import (
    BALANCES,
    Difference,
    Finding,
    Verification,
    row_differences,
)
from services.ledger.audit.pages import Pages
from services.ledger.audit.replay_journal import ReplayJournal
from services.ledger.store.audit import PAGE, Audit, Columns
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
        self._entries = Pages(audit.all_entries(), len(_ENTRY))
        self._transfers = CheckTransfers(audit, replay, shard, found, everything=everything)
        self._missing_entries: dict[tuple[str, int], Entry] = {}
        self._extra_entries: dict[tuple[str, int], Entry] = {}

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
        await self._transfers.check(page)

    async def check_states(self, page: CheckedPage) -> None:
        """Compare only the transfers whose newest record is on the page; what later records say is not known."""
        await self._transfers.check(page)

    async def finish(self) -> None:
        """Say what was left unmatched."""
        if self._everything:
            self._keep_strays(await self._entries.rest())
        self._pair_entries()
        await self._transfers.finish()

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


def _rows(columns: Columns) -> list[Entry]:
    return [Entry(*row) for row in zip(*columns, strict=True)]


def _key(row: Entry) -> tuple[str, int]:
    return row.account_id, row.seq


def _place(row: Entry) -> tuple[int, str]:
    return row.journal_index, row.account_id


def _amount(row: Entry) -> tuple[int, int]:
    return row.journal_index, row.amount_minor
