"""The accounts while one run of the engine changes them, and the entries it makes, in the order they were made."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from services.ledger.domain.account import Account
from services.ledger.domain.commands import Leg
from services.ledger.domain.fees import Fee

Savepoint: TypeAlias = tuple[int, list[tuple[str, Account | None]]]
Entry: TypeAlias = tuple[str, int, str, int, int, int]
"""A new entry: account id, seq, transfer id, journal index, amount, balance after it; both in minor units.

A plain tuple, because three are made for each transfer, and a named one takes five times as long.
"""


class Books:
    """Copies the accounts it changes and leaves those it was given alone, so that a failed commit costs nothing."""

    __slots__ = ("changed", "entries", "read")

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        """Take the accounts as they were read."""
        self.read = accounts
        self.changed: dict[str, Account] = {}
        self.entries: list[Entry] = []

    def look(self, account_id: str) -> Account:
        """Return the account as this run has left it so far, not to be changed."""
        return self.changed.get(account_id) or self.read[account_id]

    def open(self, account_id: str) -> Account:
        """Return the account's copy of this run, to be changed."""
        account = self.changed.get(account_id)
        if account is None:
            account = self.changed[account_id] = self.read[account_id].copy()
        return account

    def move(self, transfer_id: str, index: int, leg: Leg) -> None:
        """Move a leg's amount for the record at `index`: two entries, the source's first."""
        amount_minor = leg.amount_minor
        source, destination = self.open(leg.source_account_id), self.open(leg.destination_account_id)
        source.posted_minor -= amount_minor
        source.last_seq += 1
        source.version += 1
        destination.posted_minor += amount_minor
        destination.last_seq += 1
        destination.version += 1
        self.entries += (
            (leg.source_account_id, source.last_seq, transfer_id, index, -amount_minor, source.posted_minor),
            (
                leg.destination_account_id,
                destination.last_seq,
                transfer_id,
                index,
                amount_minor,
                destination.posted_minor,
            ),
        )

    def move_with_fees(self, transfer_id: str, index: int, leg: Leg, fees: Iterable[Fee]) -> None:
        """Move a leg's amount, less the fees withheld from it; fees given back shorten what the source pays.

        The source's entry comes first, then the destination's, then one for each fee. Sides that get nothing have none.
        """
        debit_minor = credit_minor = leg.amount_minor
        for _, _, amount_minor in fees:
            if amount_minor > 0:
                credit_minor -= amount_minor
            else:
                debit_minor += amount_minor
        enter = self._enter
        enter(transfer_id, index, leg.source_account_id, -debit_minor)
        enter(transfer_id, index, leg.destination_account_id, credit_minor)
        for _, account_id, amount_minor in fees:
            enter(transfer_id, index, account_id, amount_minor)

    def reserve(self, leg: Leg, *, sign: int) -> None:
        """Reserve a leg's amount on both sides (`sign` 1), or give the reservation back (`sign` -1)."""
        source, destination = self.open(leg.source_account_id), self.open(leg.destination_account_id)
        source.pending_out_minor += sign * leg.amount_minor
        source.version += 1
        destination.pending_in_minor += sign * leg.amount_minor
        destination.version += 1

    def savepoint(self, legs: Iterable[Leg], fees: Iterable[Fee] = ()) -> Savepoint:
        """Remember the accounts of these legs and fees, for what happens wholly or not at all."""
        ids = {account for leg in legs for account in (leg.source_account_id, leg.destination_account_id)}
        ids.update(fee.account_id for fee in fees)
        remembered = [(account_id, self.changed.get(account_id)) for account_id in ids]
        return len(self.entries), [(account_id, account and account.copy()) for account_id, account in remembered]

    def roll_back(self, savepoint: Savepoint) -> None:
        """Make the remembered accounts and the entries what they were."""
        length, remembered = savepoint
        del self.entries[length:]
        for account_id, account in remembered:
            if account is None:
                self.changed.pop(account_id, None)
            else:
                self.changed[account_id] = account

    def _enter(self, transfer_id: str, index: int, account_id: str, amount_minor: int) -> None:
        if not amount_minor:
            return
        account = self.changed.get(account_id) or self.open(account_id)
        account.posted_minor = balance_minor = account.posted_minor + amount_minor
        account.last_seq = seq = account.last_seq + 1
        account.version += 1
        self.entries.append((account_id, seq, transfer_id, index, amount_minor, balance_minor))
