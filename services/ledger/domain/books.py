"""The accounts while one run of the engine changes them, and the entries it makes."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from services.ledger.domain.account import Account
from services.ledger.domain.commands import Leg

Savepoint: TypeAlias = tuple[int, list[tuple[str, Account | None]]]


class Entries:
    """New entries as columns, in the order they were made: that is how they are written."""

    __slots__ = ("account_ids", "amounts_minor", "balances_minor", "seqs", "transfer_ids")

    def __init__(self) -> None:
        """Begin with none."""
        self.account_ids: list[str] = []
        self.seqs: list[int] = []
        self.transfer_ids: list[str] = []
        self.amounts_minor: list[int] = []
        self.balances_minor: list[int] = []

    def __len__(self) -> int:
        return len(self.seqs)

    def cut(self, length: int) -> None:
        """Drop every entry after the first `length`."""
        for column in (self.account_ids, self.seqs, self.transfer_ids, self.amounts_minor, self.balances_minor):
            del column[length:]


class Books:
    """Copies the accounts it changes and leaves those it was given alone, so that a failed commit costs nothing."""

    __slots__ = ("changed", "entries", "read")

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        """Take the accounts as they were read."""
        self.read = accounts
        self.changed: dict[str, Account] = {}
        self.entries = Entries()

    def open(self, account_id: str) -> Account:
        """Return the account's copy of this run, to be changed."""
        account = self.changed.get(account_id)
        if account is None:
            account = self.changed[account_id] = self.read[account_id].copy()
        return account

    def move(self, transfer_id: str, leg: Leg) -> None:
        """Move a leg's amount: two entries, the source's first."""
        amount_minor = leg.amount_minor
        source, destination = self.open(leg.source_account_id), self.open(leg.destination_account_id)
        source.posted_minor -= amount_minor
        source.last_seq += 1
        source.version += 1
        destination.posted_minor += amount_minor
        destination.last_seq += 1
        destination.version += 1
        entries = self.entries
        entries.account_ids += (leg.source_account_id, leg.destination_account_id)
        entries.seqs += (source.last_seq, destination.last_seq)
        entries.transfer_ids += (transfer_id, transfer_id)
        entries.amounts_minor += (-amount_minor, amount_minor)
        entries.balances_minor += (source.posted_minor, destination.posted_minor)

    def reserve(self, leg: Leg, *, sign: int) -> None:
        """Reserve a leg's amount on both sides (`sign` 1), or give the reservation back (`sign` -1)."""
        source, destination = self.open(leg.source_account_id), self.open(leg.destination_account_id)
        source.pending_out_minor += sign * leg.amount_minor
        source.version += 1
        destination.pending_in_minor += sign * leg.amount_minor
        destination.version += 1

    def savepoint(self, legs: Iterable[Leg]) -> Savepoint:
        """Remember the accounts of these legs, for what happens wholly or not at all."""
        ids = {account for leg in legs for account in (leg.source_account_id, leg.destination_account_id)}
        remembered = [(account_id, self.changed.get(account_id)) for account_id in ids]
        return len(self.entries), [(account_id, account and account.copy()) for account_id, account in remembered]

    def roll_back(self, savepoint: Savepoint) -> None:
        """Make the remembered accounts and the entries what they were."""
        length, remembered = savepoint
        self.entries.cut(length)
        for account_id, account in remembered:
            if account is None:
                self.changed.pop(account_id, None)
            else:
                self.changed[account_id] = account
