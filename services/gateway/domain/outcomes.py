"""What became of a transfer, and how that is answered."""

from typing import Final

# tidy: allow impure-value-code: a frozen struct is made several times cheaper than a frozen dataclass
import msgspec

# tidy: allow impure-value-code: which states are final is the ledger's word
from libs.common.contracts.ledger import FINAL_STATUSES


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """A transfer's newest known state. Version 0 with status `accepted`: nothing has been heard of it yet."""

    transfer_id: str
    status: str
    version: int
    code: str
    reasons: tuple[str, ...]
    facts: dict[str, int | str]
    journal_index: int
    occurred_at: str

    def is_final(self) -> bool:
        """Tell whether this answer is frozen."""
        return self.status in FINAL_STATUSES


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

DETAILS: Final = {
    "account_closed": "One of the accounts is closed; use another.",
    "account_frozen": "The source account is frozen; nothing can be debited from it.",
    "account_not_owned": "A source account belongs to somebody else.",
    "account_suspended": "One of the accounts is suspended; nothing can be moved.",
    "amount_below_minimum": "The amount is below the smallest that can be sent.",
    "amount_limit_exceeded": "The amount is above what one transfer may move; send less.",
    "asset_mismatch": "An account does not hold the asset of its leg.",
    "balance_overflow": "The resulting balance would be larger than 2^53-1 minor units.",
    "batch_refused": "Another transfer of this atomic batch was not possible, so none was made.",
    "daily_amount_limit_exceeded": "The sum of the last 24 hours would be above its limit; try again at resets_at.",
    "daily_count_limit_exceeded": "The number of transfers in the last 24 hours has reached its limit; see resets_at.",
    "hold_in_atomic_batch": "This transfer would have to wait for a review, which an atomic batch cannot.",
    "hourly_count_limit_exceeded": "The number of transfers in the last hour has reached its limit; see resets_at.",
    "insufficient_funds": "The source account has less available than the transfer needs.",
    "kyc_required": "Verify your identity first: POST /api/v1/kyc/application.",
    "payee_kyc_rejected": "The payee could not be verified; the money is available again.",
    "same_account": "Source and destination must be two different accounts.",
    "unknown_account": "One of the accounts does not exist or cannot be used for transfers.",
}


def detail_of(code: str) -> str:
    """Return one sentence for people about a refusal's or block's code."""
    return DETAILS.get(code, "The transfer was not possible; the code says why.")
