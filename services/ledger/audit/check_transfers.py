"""Transfers against the newest record of each: column by column, a page at a time."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.ledger.audit.check_proof import CheckedPage
from services.ledger.audit.findings import BALANCES, EDITED, Difference, Finding, Verification, row_differences
from services.ledger.audit.pages import ALL_INDEXES, Pages
from services.ledger.audit.replay_journal import ReplayJournal
from services.ledger.store.audit import PAGE, Audit, Columns
from services.ledger.store.journal_record import TransferRecord

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


class CheckTransfers:
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
        self._pages = Pages(audit.all_transfers(), len(_TRANSFER))
        self._extra: list[tuple[Any, ...]] = []
        self._superseded: dict[str, TransferRecord] = {}

    async def check(self, page: CheckedPage) -> None:
        """Compare the transfers whose newest record is on the page."""
        records = [record for record in page.records if isinstance(record, TransferRecord)]
        if self._everything:
            stored, strays = await self._pages.page(page.first // PAGE)
            for columns in strays:
                self._extra += zip(*columns, strict=True)
        else:
            ids = [record.transfer_id for record in records]
            stored = await self._audit.some_transfers(ids, page.first, page.end)
        expected = self._columns(records)
        if stored == expected and all(version == 1 for version in expected[5]):
            return
        self._match(records, expected, stored, page)

    def _columns(self, records: Sequence[TransferRecord]) -> Columns:
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

    def _match(self, records: Sequence[TransferRecord], expected: Columns, stored: Columns, page: CheckedPage) -> None:
        rows = self._by_index(stored, {record.index: record.transfer_id for record in records})
        for record, want in zip(records, zip(*expected, strict=True), strict=True):
            before = self._superseded.pop(record.transfer_id, None)
            if before is not None and before.version != record.version - 1:
                self._find_version(record, before.version + 1)
            row = rows.pop(record.index, None)
            if row is None:
                self._superseded[record.transfer_id] = record
            elif row != want:
                self._find(row, want, page.altered.get(record.index))
        self._extra += rows.values()

    def _by_index(self, stored: Columns, ids: Mapping[int, str]) -> dict[int, tuple[Any, ...]]:
        """Return the rows by record. Of two at one record, that of another transfer is one too many."""
        rows: dict[int, tuple[Any, ...]] = {}
        for row in zip(*stored, strict=True):
            other = rows.get(row[0])
            if other is not None and row[1] != ids.get(row[0]):
                self._extra.append(row)
                continue
            if other is not None:
                self._extra.append(other)
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

    def _find(self, row: tuple[Any, ...], want: tuple[Any, ...], altered: Finding | None) -> None:
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

    async def finish(self) -> None:
        """Name the transfers whose newest record no row points at, and rows that no record proves."""
        if self._everything:
            for columns in await self._pages.rest():
                self._extra += zip(*columns, strict=True)
        extra = {row[1]: row for row in self._extra}
        if self._superseded and not self._everything:
            columns = await self._audit.some_transfers(list(self._superseded), 0, ALL_INDEXES)
            extra |= {row[1]: row for row in zip(*columns, strict=True)}
        for transfer_id, record in self._superseded.items():
            row = extra.pop(transfer_id, None)
            want = next(zip(*self._columns([record]), strict=True))
            by_index = next((one for one in extra.values() if one[0] == record.index), None)
            if row is None and by_index is not None:
                row = extra.pop(by_index[1])
            if row is not None:
                self._find(row, want, None)
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

    async def stop(self) -> None:
        """Ask PostgreSQL for no more."""
        await self._pages.stop()


def parties(record: TransferRecord) -> tuple[str, ...]:
    """Return the accounts that a record names."""
    ids = (account for leg in record.legs for account in (leg.source_account_id, leg.destination_account_id))
    return tuple(dict.fromkeys(ids))
