"""What the records say every account must hold: the books made again from the journal alone."""

from collections.abc import Iterator
from typing import NamedTuple

from services.ledger.store.journal_record import JournalRecord, RecordLeg


class Expected(NamedTuple):
    """An entry as the record at `journal_index` made it."""

    journal_index: int
    account_id: str
    seq: int
    transfer_id: str
    amount_minor: int
    balance_after_minor: int
    posted_at: str


class ReplayJournal:
    """Follows the records in their order, without the engine: a second opinion has to be made another way."""

    def __init__(self) -> None:
        """Begin with empty books."""
        self._posted_minor: dict[str, int] = {}
        self._seqs: dict[str, int] = {}
        self._pending_in_minor: dict[str, int] = {}
        self._pending_out_minor: dict[str, int] = {}
        self._held: set[str] = set()
        self.entries = 0

    def follow(self, record: JournalRecord) -> Iterator[Expected]:
        """Take one record in and yield the entries it made, in their order."""
        if record.transfer_id in self._held and record.status != "held":
            self._held.discard(record.transfer_id)
            self._reserve(record.legs, -1)
        elif record.status == "held" and record.transfer_id not in self._held:
            self._held.add(record.transfer_id)
            self._reserve(record.legs, 1)
        if record.status == "posted":
            for leg in record.legs:
                yield self._enter(record, leg.source_account_id, -leg.amount_minor)
                yield self._enter(record, leg.destination_account_id, leg.amount_minor)

    def balances_of(self, account_id: str) -> tuple[int, int, int, int]:
        """Return posted, pending in, pending out (minor units) and the last seq."""
        return (
            self._posted_minor.get(account_id, 0),
            self._pending_in_minor.get(account_id, 0),
            self._pending_out_minor.get(account_id, 0),
            self._seqs.get(account_id, 0),
        )

    def account_ids(self) -> set[str]:
        """Return every account that money moved on or was reserved on."""
        return self._posted_minor.keys() | self._pending_in_minor.keys() | self._pending_out_minor.keys()

    def _reserve(self, legs: list[RecordLeg], sign: int) -> None:
        for leg in legs:
            amount_minor = sign * leg.amount_minor
            source, destination = leg.source_account_id, leg.destination_account_id
            self._pending_out_minor[source] = self._pending_out_minor.get(source, 0) + amount_minor
            self._pending_in_minor[destination] = self._pending_in_minor.get(destination, 0) + amount_minor

    def _enter(self, record: JournalRecord, account_id: str, amount_minor: int) -> Expected:
        self.entries += 1
        seq = self._seqs[account_id] = self._seqs.get(account_id, 0) + 1
        balance_minor = self._posted_minor[account_id] = self._posted_minor.get(account_id, 0) + amount_minor
        return Expected(record.index, account_id, seq, record.transfer_id, amount_minor, balance_minor, record.time)
