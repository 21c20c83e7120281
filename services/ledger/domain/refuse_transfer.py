"""Why the ledger says no, in the one order in which it looks.

    1. unknown_account      the source; the destination; or the destination belongs to somebody else than was screened
    2. account_not_owned    a transfer's source is not the payer's; a deposit's is not the asset's reserve
    3. same_account         source and destination are one account
    4. asset_mismatch       the leg's asset is not both accounts'
    5. account_closed, account_suspended, account_frozen   either account, the worst first
    6. insufficient_funds   the source's available amount, once all legs before this one have moved
    7. balance_overflow     the destination could no longer be written exactly

1 to 5 are asked leg by leg, all legs before any money is looked at; 6 and 7 leg by leg as they move. So the first leg
that cannot be decides, and the order of its own faults is fixed. Inside an atomic batch the first transfer that cannot
be gets its code, the others `batch_refused`; one that fraud would hold gets `hold_in_atomic_batch`.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from libs.common.money import MAX_AMOUNT_MINOR
from services.ledger.domain.account import SYSTEM_OWNER, Account
from services.ledger.domain.books import Books
from services.ledger.domain.commands import Leg, TransferCommand
from services.ledger.domain.system_accounts import RESERVE_OF
from services.ledger.domain.transfer import NO_FACTS

_WORST_FIRST: Final = ("closed", "suspended", "frozen")


class Refusal(NamedTuple):
    """A stable code and the public numbers that explain it."""

    code: str
    facts: Mapping[str, int | str] = NO_FACTS


def refuse_parties(command: TransferCommand, accounts: Mapping[str, Account]) -> Refusal | None:
    """Return what is wrong with the accounts, whatever they hold."""
    for leg in command.legs:
        source = accounts.get(leg.source_account_id)
        destination = accounts.get(leg.destination_account_id)
        if source is None or destination is None:
            return Refusal("unknown_account")
        # Nobody is paid unscreened, and no customer reaches the house's own accounts by himself.
        if destination.owner_id != leg.destination_owner_id or destination.owner_id == SYSTEM_OWNER:
            return Refusal("unknown_account")
        refusal = _refuse_source(command, leg, source)
        if refusal is not None:
            return refusal
        if source is destination:
            return Refusal("same_account")
        if not source.asset == destination.asset == leg.asset:
            return Refusal("asset_mismatch")
        if source.status != "active" or destination.status != "active":
            return _refuse_status(source, destination)
    return None


def _refuse_source(command: TransferCommand, leg: Leg, source: Account) -> Refusal | None:
    """Return why this account may not pay: a customer spends his own, a deposit comes from the reserve."""
    if command.kind == "deposit":
        return None if leg.source_account_id == RESERVE_OF.get(leg.asset) else Refusal("account_not_owned")
    if source.owner_id == SYSTEM_OWNER:
        return Refusal("unknown_account")
    if command.payer is None or source.owner_id != command.payer.user_id:
        return Refusal("account_not_owned")
    return None


def refuse_settlement(legs: Sequence[Leg], accounts: Mapping[str, Account]) -> Refusal | None:
    """Return what keeps a held transfer from being posted now: only the accounts' state can have changed."""
    for leg in legs:
        source, destination = accounts[leg.source_account_id], accounts[leg.destination_account_id]
        if source.status != "active" or destination.status != "active":
            return _refuse_status(source, destination)
    return None


def refuse_amount(leg: Leg, books: Books) -> Refusal | None:
    """Return why this leg's money cannot move now."""
    source = books.changed.get(leg.source_account_id) or books.read[leg.source_account_id]
    # Spelled out, not `available_minor`: this is asked for every leg, and a property is a call.
    available_minor = source.posted_minor - source.pending_out_minor - source.minimum_minor
    if available_minor < leg.amount_minor:
        return Refusal(
            "insufficient_funds", {"needed_minor": leg.amount_minor, "available_minor": max(available_minor, 0)}
        )
    destination = books.changed.get(leg.destination_account_id) or books.read[leg.destination_account_id]
    # What is held for it counts: a hold that was taken in must be able to post.
    if destination.posted_minor + destination.pending_in_minor + leg.amount_minor > MAX_AMOUNT_MINOR:
        return Refusal("balance_overflow")
    return None


def _refuse_status(source: Account, destination: Account) -> Refusal:
    statuses = {source.status, destination.status}
    worst = next(status for status in _WORST_FIRST if status in statuses)
    return Refusal(f"account_{worst}")
