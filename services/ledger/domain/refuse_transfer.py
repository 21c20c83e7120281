"""Why the ledger says no to a transfer, in the one order in which it looks.

    1. unknown_account      the source; the destination; or the destination belongs to somebody else than was screened
    2. account_not_owned    a transfer's or withdrawal's source is not the payer's; the other side of a deposit or a
                            withdrawal is not the asset's reserve
    3. same_account         source and destination are one account
    4. asset_mismatch       the leg's asset is not both accounts'
    5. account_closed, account_suspended   either account; account_frozen   the source: it may still be credited
    6. insufficient_funds   the source's available amount, once all legs before this one have moved
    7. balance_overflow     the destination's balance could no longer be written exactly
    8. balance_limit_exceeded   the destination may not hold that much

1 to 5 are asked leg by leg, all legs before any money is looked at; 6 to 8 leg by leg as they move. So the first leg
that cannot be decides, and the order of its own faults is fixed. 7 and 8 count the whole amount, before its fees, and
all that is held for the destination: a hold and a posting are judged alike, and what was held fits when it posts.
Inside an atomic batch the first transfer that cannot be gets its code, the others `batch_refused`; one that would be
held gets `hold_in_atomic_batch`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from libs.common.money import MAX_AMOUNT_MINOR
from services.ledger.domain.account import SYSTEM_OWNER, Account
from services.ledger.domain.books import Books
from services.ledger.domain.commands import Leg, TransferCommand
from services.ledger.domain.fees import Fee
from services.ledger.domain.system_accounts import reserve_of
from services.ledger.domain.transfer import NO_FACTS


class Refusal(NamedTuple):
    """A stable code and the public numbers that explain it."""

    code: str
    facts: Mapping[str, int | str] = NO_FACTS


def refuse_parties(command: TransferCommand, books: Books) -> Refusal | None:
    """Return what is wrong with the accounts, whatever they hold."""
    changed, read = books.changed, books.read
    for leg in command.legs:
        source = changed.get(leg.source_account_id) or read.get(leg.source_account_id)
        destination = changed.get(leg.destination_account_id) or read.get(leg.destination_account_id)
        if source is None or destination is None:
            return Refusal("unknown_account")
        refusal = _refuse_destination(command, leg, destination) or _refuse_source(command, leg, source)
        if refusal is not None:
            return refusal
        if source is destination:
            return Refusal("same_account")
        if not source.asset == destination.asset == leg.asset:
            return Refusal("asset_mismatch")
        if source.status != "active" or destination.status != "active":
            refusal = refuse_status(source, destination)
            if refusal is not None:
                return refusal
    return None


def _refuse_destination(command: TransferCommand, leg: Leg, destination: Account) -> Refusal | None:
    """Return why this account may not be paid: nobody is unscreened, and the house's own only by a withdrawal."""
    if command.kind == "withdrawal":
        return None if leg.destination_account_id == reserve_of(leg.asset) else Refusal("account_not_owned")
    if destination.owner_id != leg.destination_owner_id or destination.owner_id == SYSTEM_OWNER:
        return Refusal("unknown_account")
    return None


def _refuse_source(command: TransferCommand, leg: Leg, source: Account) -> Refusal | None:
    """Return why this account may not pay: a customer spends his own, a deposit comes from the reserve."""
    if command.kind == "deposit":
        return None if leg.source_account_id == reserve_of(leg.asset) else Refusal("account_not_owned")
    if source.owner_id == SYSTEM_OWNER:
        return Refusal("unknown_account")
    if command.payer is None or source.owner_id != command.payer.user_id:
        return Refusal("account_not_owned")
    return None


def refuse_states(legs: Sequence[Leg], books: Books) -> Refusal | None:
    """Return what keeps these legs from being posted, of accounts that were found right before and may have changed."""
    for leg in legs:
        refusal = refuse_status(books.look(leg.source_account_id), books.look(leg.destination_account_id))
        if refusal is not None:
            return refusal
    return None


def refuse_amount(leg: Leg, books: Books) -> Refusal | None:
    """Return why this leg's money cannot move now. No minimum is below -(2^53-1), so no source can overflow."""
    source = books.changed.get(leg.source_account_id) or books.read[leg.source_account_id]
    # Spelled out, not `available_minor`: this is asked for every leg, and a property is a call.
    available_minor = source.posted_minor - source.pending_out_minor - source.minimum_minor
    if available_minor < leg.amount_minor:
        return insufficient_funds(leg.amount_minor, available_minor)
    destination = books.changed.get(leg.destination_account_id) or books.read[leg.destination_account_id]
    # What is held for it counts: a hold that was taken in must be able to post.
    would_be_minor = destination.posted_minor + destination.pending_in_minor + leg.amount_minor
    if would_be_minor > destination.maximum_minor:
        return refuse_balance(destination, would_be_minor)
    return None


def refuse_balance(account: Account, would_be_minor: int) -> Refusal | None:
    """Return why the account may not come to hold so much."""
    if would_be_minor > MAX_AMOUNT_MINOR:
        return Refusal("balance_overflow")
    if would_be_minor > account.maximum_minor:
        return Refusal("balance_limit_exceeded")
    return None


def refuse_fees(fees: Sequence[Fee], books: Books) -> Refusal | None:
    """Return why an account of the house can neither take these fees nor give them back."""
    if len(fees) == 1:
        _, account_id, amount_minor = fees[0]
        return _refuse_fee(books.look(account_id), amount_minor)
    sums: dict[str, int] = {}
    for _, account_id, amount_minor in fees:
        sums[account_id] = sums.get(account_id, 0) + amount_minor
    refusals = (_refuse_fee(books.look(account_id), amount_minor) for account_id, amount_minor in sums.items())
    return next(filter(None, refusals), None)


def _refuse_fee(account: Account, amount_minor: int) -> Refusal | None:
    if amount_minor < 0 and account.available_minor < -amount_minor:
        return Refusal("insufficient_funds")  # without numbers: what the house has is not the asker's business
    return refuse_balance(account, account.posted_minor + account.pending_in_minor + amount_minor)


def insufficient_funds(needed_minor: int, available_minor: int) -> Refusal:
    """Return the refusal with its numbers; a minimum above zero shows as nothing available, not as less."""
    return Refusal("insufficient_funds", {"needed_minor": needed_minor, "available_minor": max(available_minor, 0)})


def refuse_status(source: Account, destination: Account) -> Refusal | None:
    """Return which account's state forbids it: the worst first, frozen only where it would be debited."""
    statuses = {source.status, destination.status}
    for status in ("closed", "suspended"):
        if status in statuses:
            return Refusal(f"account_{status}")
    return Refusal("account_frozen") if source.status == "frozen" else None
