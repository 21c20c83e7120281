"""What the records say every account must hold: the books made again from the journal alone."""

from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from services.ledger.store.journal_record import RecordLeg, TransferRecord


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
        self._held: dict[str, list[RecordLeg]] = {}
        self.entries = 0

    def follow(self, record: TransferRecord) -> Iterator[Expected]:
        """Take one record in and yield the entries it made, in their order."""
        self._settle(record)
        if record.kind not in {"transfer.posted", "transfer.captured"}:
            return
        for position, leg in enumerate(record.legs):
            fees = [fee for fee in record.fees if fee.leg == position]
            debit_minor = leg.amount_minor + sum(fee.amount_minor for fee in fees if fee.amount_minor < 0)
            credit_minor = leg.amount_minor - sum(fee.amount_minor for fee in fees if fee.amount_minor > 0)
            moves = [(leg.source_account_id, -debit_minor), (leg.destination_account_id, credit_minor)]
            for account_id, amount_minor in moves + [(fee.account_id, fee.amount_minor) for fee in fees]:
                if amount_minor:
                    yield self._enter(record, account_id, amount_minor)

    def _settle(self, record: TransferRecord) -> None:
        """Follow what the record reserves, takes out of a reservation, or gives back."""
        reserved = self._held.get(record.transfer_id)
        if record.kind == "transfer.held" and reserved is None:
            self._held[record.transfer_id] = record.legs
            self._reserve(record.legs, 1)
        elif record.kind == "transfer.captured" and reserved is not None:
            self._reserve(record.legs, -1)
            self._held[record.transfer_id] = [
                replace(leg, amount_minor=leg.amount_minor - moved.amount_minor)
                for leg, moved in zip(reserved, record.legs, strict=True)
            ]
        elif reserved is not None and record.status != "held":
            self._reserve(self._held.pop(record.transfer_id), -1)

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

    def _enter(self, record: TransferRecord, account_id: str, amount_minor: int) -> Expected:
        self.entries += 1
        seq = self._seqs[account_id] = self._seqs.get(account_id, 0) + 1
        balance_minor = self._posted_minor[account_id] = self._posted_minor.get(account_id, 0) + amount_minor
        return Expected(record.index, account_id, seq, record.transfer_id, amount_minor, balance_minor, record.time)
