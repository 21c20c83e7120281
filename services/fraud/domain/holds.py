"""When a transfer that waits for its payee's KYC, or for people, goes on, and when it ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from services.fraud.domain.screening import LOWEST_RECEIVING_TIER

KYC_PENDING: Final = "kyc_pending"
REVIEW: Final = "review"
PAYEE_REJECTED_CODE: Final = "payee_kyc_rejected"
KYC_EXPIRED_CODE: Final = "kyc_expired"
KYC_WAIT: Final = timedelta(days=30)
"""How long a transfer waits for its payees to be verified. The ledger's own hold has no end: fraud's word is it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A payee's KYC as we know it; status `none` and tier 0 for somebody we never heard of."""

    status: str
    tier: int


def settle_kyc(payees: Sequence[Standing]) -> Literal["release", "reject"] | None:
    """Say what the payees' KYC does to a hold: one rejection ends it, all verified release it, else it waits on."""
    if any(payee.status == "rejected" for payee in payees):
        return "reject"
    if all(payee.tier >= LOWEST_RECEIVING_TIER for payee in payees):
        return "release"
    return None
