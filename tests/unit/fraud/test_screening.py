"""The verdict's precedence, and what it uses up."""

from services.fraud.domain.holds import Standing, settle_kyc
from services.fraud.domain.limits import LimitProfile
from services.fraud.domain.payer import Payer, newest_tier
from services.fraud.domain.rulesets import NOTHING_HIT, Outcome
from services.fraud.domain.screening import Ruling, screen_transfer
from services.fraud.domain.window import Window

NOON_US = 1_800_000_000_000_000
LIMITS = LimitProfile("retail", 1, 100, 1_000, 50, 200, version=1)


def screen(
    window: Window,
    *,
    payer_tier: int = 1,
    payee_tier: int = 1,
    usd_minor: int | None = 10,
    denied: bool = False,
    rules: Outcome = NOTHING_HIT,
) -> Ruling:
    return screen_transfer(
        payer_tier=payer_tier,
        payee_tiers=[1, payee_tier],
        profile=LIMITS,
        window=window,
        usd_minor=usd_minor,
        now_us=NOON_US,
        denied=denied,
        rules=rules,
    )


def test_a_list_forbids_before_anything_else_is_looked_at_and_says_not_why() -> None:
    window = Window()
    assert screen(window, payer_tier=0, usd_minor=101, denied=True).code == "transfer_not_permitted"
    assert len(window) == 0


def test_rules_block_after_the_limits_and_tell_nobody_what_he_is_suspected_of() -> None:
    window, suspected = Window(), Outcome("block", 300, is_neutral=True)
    assert screen(window, rules=Outcome("block", 300)).code == "unusual_activity"
    assert screen(window, rules=suspected).code == "transfer_not_permitted"
    assert screen(window, rules=suspected, usd_minor=101).code == "amount_limit_exceeded"
    assert len(window) == 0, "what rules block uses no limit"


def test_a_review_and_an_unverified_payee_are_waited_for_together() -> None:
    window, odd = Window(), Outcome("review", 100)
    assert screen(window, rules=odd).reasons == ("review",)
    assert screen(window, rules=odd, payee_tier=0).reasons == ("review", "kyc_pending")
    assert window.day_count == 2


def test_an_unverified_payer_is_blocked_before_anything_else_is_looked_at() -> None:
    assert screen(Window(), payer_tier=0, payee_tier=0, usd_minor=101).code == "kyc_required"


def test_what_cannot_be_valued_is_blocked_before_any_limit_is_looked_at_and_uses_none() -> None:
    window = Window()
    assert screen(window, usd_minor=None, payee_tier=0).code == "asset_without_rate"
    assert screen(window, usd_minor=None, payer_tier=0).code == "kyc_required"
    assert len(window) == 0


def test_a_limit_blocks_before_the_payee_is_looked_at() -> None:
    assert screen(Window(), payee_tier=0, usd_minor=101).code == "amount_limit_exceeded"


def test_one_unverified_payee_among_several_holds() -> None:
    ruling = screen(Window(), payee_tier=0)
    assert (ruling.verdict, ruling.code, ruling.reasons) == ("hold", "", ("kyc_pending",))


def test_an_approval_and_a_hold_use_a_slot_and_a_block_uses_none() -> None:
    window = Window()
    screen(window)
    screen(window, payee_tier=0)
    screen(window, payer_tier=0)
    screen(window, usd_minor=101)
    assert (window.day_count, window.day_sum_minor) == (2, 20)


def test_the_newer_view_of_a_tier_wins_whoever_holds_it() -> None:
    assert newest_tier(tier=0, version=1, seen_tier=1, seen_version=2) == 1
    assert newest_tier(tier=0, version=3, seen_tier=1, seen_version=2) == 0
    assert newest_tier(tier=2, version=2, seen_tier=1, seen_version=2) == 2


def test_a_payers_time_never_goes_back() -> None:
    payer = Payer("somebody", 1, "retail", 1, 1, NOON_US, Window())
    assert payer.moment(NOON_US - 1) == NOON_US
    assert payer.moment(NOON_US + 1) == NOON_US + 1


def test_a_hold_goes_on_when_all_payees_are_verified_and_ends_when_one_is_rejected() -> None:
    verified, waiting = Standing("approved", 1), Standing("in_review", 0)
    rejected = Standing("rejected", 0)

    assert settle_kyc([verified, verified]) == "release"
    assert settle_kyc([verified, waiting]) is None
    assert settle_kyc([verified, waiting, rejected]) == "reject"
