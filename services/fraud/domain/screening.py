"""The verdict on one transfer: who may send, how much, and to whom it must wait.

Precedence: the payer's KYC, that the amount can be valued, his limits, then the payees' KYC.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from services.fraud.domain.limits import Breach, LimitProfile, find_breach
from services.fraud.domain.window import Window

RULESET: Final = 1
"""The version of the rules as this module states them; every decision names it."""

LOWEST_SENDING_TIER: Final = 1
LOWEST_RECEIVING_TIER: Final = 1


@dataclass(frozen=True, slots=True)
class Ruling:
    """A verdict. `code` is empty unless it blocks; `reasons` are what a hold waits for; `breach` explains a limit."""

    verdict: Literal["approve", "hold", "block"]
    code: str = ""
    reasons: tuple[Literal["kyc_pending", "review"], ...] = ()
    breach: Breach | None = None


APPROVED: Final = Ruling("approve")
HELD_FOR_KYC: Final = Ruling("hold", reasons=("kyc_pending",))
BLOCKED_FOR_KYC: Final = Ruling("block", code="kyc_required")
BLOCKED_WITHOUT_RATE: Final = Ruling("block", code="asset_without_rate")


def screen_transfer(
    *,
    payer_tier: int,
    payee_tiers: Iterable[int],
    profile: LimitProfile,
    window: Window,
    usd_minor: int | None,
    now_us: int,
) -> Ruling:
    """Judge a customer's transfer and use a slot of his limits, unless it is blocked: a block uses nothing up.

    `usd_minor` is None where nobody knows what an asset of it is worth.
    """
    if payer_tier < LOWEST_SENDING_TIER:
        return BLOCKED_FOR_KYC
    if usd_minor is None:
        return BLOCKED_WITHOUT_RATE
    breach = find_breach(profile, window, usd_minor=usd_minor, now_us=now_us)
    if breach is not None:
        return Ruling("block", code=breach.code, breach=breach)
    window.take(now_us, usd_minor)
    for tier in payee_tiers:
        if tier < LOWEST_RECEIVING_TIER:
            return HELD_FOR_KYC
    return APPROVED
