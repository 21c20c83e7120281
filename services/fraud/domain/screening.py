"""The verdict on one transfer: who may send, how much, and to whom it must wait.

Precedence: lists and freezes, the payer's KYC, that the amount can be valued, his limits, what rules block; then what
it must wait for: a review, and the payees' KYC.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from services.fraud.domain.limits import Breach, LimitProfile, find_breach
from services.fraud.domain.rulesets import NOTHING_HIT, Outcome
from services.fraud.domain.window import Window

WITHOUT_RULES: Final = 1
"""The version that decisions name where no rule set is live: limits, lists and KYC alone."""

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
HELD_FOR_REVIEW: Final = Ruling("hold", reasons=("review",))
HELD_FOR_BOTH: Final = Ruling("hold", reasons=("review", "kyc_pending"))
BLOCKED_BY_LIST: Final = Ruling("block", code="transfer_not_permitted")
"""Says nothing more: whoever is denied, frozen or suspected must not learn which."""
BLOCKED_BY_RULES: Final = Ruling("block", code="unusual_activity")
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
    denied: bool = False,
    rules: Outcome = NOTHING_HIT,
) -> Ruling:
    """Judge a customer's transfer and use a slot of his limits, unless it is blocked: a block uses nothing up.

    `usd_minor` is None where nobody knows what an asset of it is worth. `denied` says that a list forbids it.
    """
    if denied:
        return BLOCKED_BY_LIST
    if payer_tier < LOWEST_SENDING_TIER:
        return BLOCKED_FOR_KYC
    if usd_minor is None:
        return BLOCKED_WITHOUT_RATE
    breach = find_breach(profile, window, usd_minor=usd_minor, now_us=now_us)
    if breach is not None:
        return Ruling("block", code=breach.code, breach=breach)
    ruling = rule_on(rules, payee_tiers)
    if ruling.verdict != "block":
        window.take(now_us, usd_minor)
    return ruling


def rule_on(rules: Outcome, payee_tiers: Iterable[int]) -> Ruling:
    """Return what becomes of a transfer that no list, tier, rate or limit forbids."""
    if rules.verdict == "block":
        return BLOCKED_BY_LIST if rules.is_neutral else BLOCKED_BY_RULES
    waits_for_kyc = False
    for tier in payee_tiers:  # `any` of them would make a generator for what nearly always is one payee
        waits_for_kyc = waits_for_kyc or tier < LOWEST_RECEIVING_TIER
    if rules.verdict == "review":
        return HELD_FOR_BOTH if waits_for_kyc else HELD_FOR_REVIEW
    return HELD_FOR_KYC if waits_for_kyc else APPROVED
