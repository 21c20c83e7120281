"""What became of a transfer or of a command, and how that is answered."""

from typing import Final

# tidy: allow impure-value-code: a frozen struct is made several times cheaper than a frozen dataclass
import msgspec

# tidy: allow impure-value-code: which states are final is the ledger's word
from libs.common.contracts.ledger import FINAL_STATUSES


class Settlement(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What holds, fees and reversals add to a transfer's state, as the ledger says it. Amounts are by leg.

    `resolver` may end the hold: `caller` or `fraud`; empty for what was never held. `expires_at` is RFC 3339 UTC.
    `gave_back_minor` is a reversal's, by leg of the transfer it reverses.
    """

    resolver: str = ""
    expires_at: str = ""
    captured_minor: tuple[int, ...] = ()
    reversed_minor: tuple[int, ...] = ()
    gave_back_minor: tuple[int, ...] = ()
    fee_minor: int = 0


UNSETTLED: Final = Settlement()

SHOWN_TO_PAYEES: Final = frozenset({"posted", "held", "voided"})
"""That a payer was refused or blocked is not for those he would have paid."""


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """A transfer's newest known state. Version 0 with status `accepted`: nothing has been heard of it yet.

    Also what became of a command, under the command's id: `done` or `refused`, with version 1. `attempts` is how many
    tries it took the ledger to decide this state; 0 for what the ledger has not said.
    """

    transfer_id: str
    status: str
    version: int
    code: str
    reasons: tuple[str, ...]
    facts: dict[str, int | str]
    journal_index: int
    occurred_at: str
    settlement: Settlement = UNSETTLED
    attempts: int = 0

    def is_final(self) -> bool:
        """Tell whether money will not move any more but by a reversal."""
        return self.status in FINAL_STATUSES

    def is_held_for_caller(self) -> bool:
        """Tell whether this is the hold that its caller asked for, and ends himself."""
        return self.status == "held" and self.settlement.resolver == "caller"

    def is_frozen(self) -> bool:
        """Tell whether this is the answer that every copy of the request gets, whatever happens later."""
        return self.is_final() or self.is_held_for_caller()


def accepted(transfer_id: str) -> Outcome:
    """Return the state of a transfer that is durable and of which nothing more is known."""
    return Outcome(transfer_id, "accepted", 0, "", (), {}, -1, "")


HTTP_STATUS: Final = {
    "posted": 201,
    "held": 202,
    "accepted": 202,
    "parked": 202,
    "blocked": 403,
    "voided": 403,
    "refused": 422,
}
_STATUS_OF_CODE: Final = {
    "held_by_review": 403,
    "transfer_not_permitted": 403,
    "transfer_not_found": 404,
    "account_not_found": 404,
}
"""Refusals of commands that are answered as the same code is elsewhere."""


def http_status_of(outcome: Outcome) -> int:
    """Return how a transfer's request is answered."""
    return 201 if outcome.is_held_for_caller() else HTTP_STATUS[outcome.status]


def http_status_of_refusal(code: str) -> int:
    """Return how a command is answered that was refused with this code."""
    return _STATUS_OF_CODE.get(code, 422)
