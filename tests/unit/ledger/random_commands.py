"""What may come to the ledger at random: transfers right and wrong, fee rules, and the accounts they are about."""

from typing import Final

from hypothesis import strategies as st
from msgspec.structs import replace

from libs.common.contracts.fraud import HoldReason, Verdict
from libs.common.contracts.gateway import FeeRule, FeeTier
from libs.common.ids import system_account_id
from libs.common.money import MAX_AMOUNT_MINOR
from services.ledger.domain.account import Account
from services.ledger.domain.commands import Leg, TransferScreened
from tests.support.ledger_builders import account, id_of, screened

ASSETS: Final = ("USD", "EUR")
PEOPLE: Final = ("alice", "bob", "carol")
OPENING_MINOR: Final = 1_000
HOUSE: Final = {
    asset: {name: system_account_id(asset, f"SYS-{name}-0001") for name in ("RESERVE", "TREASURY", "FEES")}
    for asset in ASSETS
}


def account_name(person: str, asset: str) -> str:
    return f"{person}'s {asset}"


CUSTOMERS: Final = [id_of(account_name(person, asset)) for asset in ASSETS for person in PEOPLE]


def all_accounts() -> dict[str, Account]:
    accounts: dict[str, Account] = {}
    for asset in ASSETS:
        for person in PEOPLE:
            owner = id_of(f"owner of {person}")
            each = account(account_name(person, asset), OPENING_MINOR, owner=owner, asset=asset)
            accounts[each.account_id] = each
        for name, account_id in HOUSE[asset].items():
            is_reserve = name == "RESERVE"
            posted_minor = -OPENING_MINOR * len(PEOPLE) if is_reserve else 0
            minimum_minor = -MAX_AMOUNT_MINOR if is_reserve else 0
            accounts[account_id] = Account(account_id, "", asset, "active", posted_minor, 0, 0, minimum_minor, 0, 1)
    return accounts


people = st.sampled_from(PEOPLE)
assets = st.sampled_from(ASSETS)
small = st.integers(1, 400)
huge = st.sampled_from([MAX_AMOUNT_MINOR, MAX_AMOUNT_MINOR - 5_000])
picks = st.integers(0, 1_000)
reasons_of_holds: st.SearchStrategy[tuple[HoldReason, ...]] = st.sampled_from(
    [("review",), ("kyc_pending",), ("kyc_pending", "review")]
)
one_share = st.sampled_from([0, 1, 1, 1, 2, 2, 3, 4, 5])
shares = st.one_of(st.just([]), *[st.lists(one_share, min_size=4, max_size=4)] * 3, st.lists(one_share, max_size=5))
"""Quarters of what each leg has left; 5 is more than all of it, none is all, five are one too many."""
MISTAKES: Final = ("nobody there", "somebody else", "other asset", "not his", "himself", "the house", "too much")


def one_in(draw: st.DrawFn, number: int) -> bool:
    """Draw whether something rare happens. Never is what hypothesis shrinks to."""
    return draw(st.integers(0, number - 1)) == number - 1


@st.composite
def legs_of(draw: st.DrawFn, payer: str) -> tuple[Leg, ...]:
    """Draw one to four legs of one payer, in one or two assets; now and then something about the last is wrong."""
    legs = []
    for _ in range(draw(st.integers(1, 4))):
        asset, payee = draw(assets), draw(st.sampled_from([each for each in PEOPLE if each != payer]))
        source, destination = id_of(account_name(payer, asset)), id_of(account_name(payee, asset))
        legs.append(Leg(source, destination, draw(small), asset, id_of(f"owner of {payee}")))
    if one_in(draw, 6):
        legs[-1] = mistaken(legs[-1], draw(st.sampled_from(MISTAKES)), payer, draw(huge))
    return tuple(legs)


def mistaken(leg: Leg, mistake: str, payer: str, too_much: int) -> Leg:
    """Return the leg with something wrong about it."""
    match mistake:
        case "nobody there":
            return replace(leg, destination_account_id=id_of("nobody"))
        case "somebody else":
            return replace(leg, destination_owner_id=id_of("owner of nobody"))
        case "other asset":
            return replace(leg, asset="EUR" if leg.asset == "USD" else "USD")
        case "not his":
            return replace(leg, source_account_id=leg.destination_account_id)
        case "himself":
            owner = id_of(f"owner of {payer}")
            return replace(leg, destination_account_id=leg.source_account_id, destination_owner_id=owner)
        case "the house":
            return replace(leg, destination_account_id=HOUSE[leg.asset]["FEES"], destination_owner_id="")
        case _:
            return replace(leg, amount_minor=too_much)


@st.composite
def transfers(draw: st.DrawFn, name: str, *, may_hold: bool = True) -> TransferScreened:
    """Draw fraud's word about a transfer, a deposit or a withdrawal."""
    payer = draw(people)
    kind = draw(st.sampled_from(["transfer", "transfer", "transfer", "transfer", "deposit", "withdrawal"]))
    if kind == "transfer":
        legs = draw(legs_of(payer))
        verdict: Verdict = draw(st.sampled_from(["approve", "approve", "hold"])) if may_hold else "approve"
        verdict = "block" if one_in(draw, 12) else verdict
        seconds = draw(st.sampled_from([0, 60, 600])) if may_hold else 0
        reasons = draw(reasons_of_holds) if verdict == "hold" else ()
        code = "amount_limit_exceeded" if verdict == "block" else ""
        facts: dict[str, int | str] = {"limit_minor": draw(small)} if verdict == "block" else {}
        return screened(
            name,
            *legs,
            verdict=verdict,
            code=code,
            reasons=reasons,
            payer=payer,
            facts=facts,
            hold_seconds=seconds,
        )
    asset, amount_minor, is_wrong = draw(assets), draw(huge if one_in(draw, 10) else small), one_in(draw, 10)
    customer = id_of(account_name(payer, asset))
    other = id_of(account_name("carol", asset)) if is_wrong else HOUSE[asset]["RESERVE"]
    if kind == "deposit":
        return screened(name, Leg(other, customer, amount_minor, asset, id_of(f"owner of {payer}")), kind="deposit")
    return screened(name, Leg(customer, other, amount_minor, asset, ""), kind="withdrawal", payer=payer)


@st.composite
def fee_rules(draw: st.DrawFn, number: int) -> FeeRule:
    """Draw a rule that takes a flat part, a rate or both, in one to three tiers, within bounds."""
    starts = (0, *sorted(draw(st.lists(st.integers(1, 300), max_size=2, unique=True))))
    flats = [draw(st.sampled_from([0, 1, 7, 30])) for _ in starts]
    rates = [draw(st.sampled_from([0, 2_500, 15_000, 333_333, 500_000, 1_000_000])) for _ in starts]
    if not one_in(draw, 4):  # else they may fall, which is refused
        flats, rates = sorted(flats), sorted(rates)
    tiers = tuple(map(FeeTier, starts, flats, rates))
    return FeeRule(
        rule_id=f"rule {number}",
        asset=draw(assets),
        kind=draw(st.sampled_from(["transfer", "transfer", "transfer", "deposit", "withdrawal"])),
        credit=draw(st.sampled_from(["treasury", "fees"])),
        tiers=tiers,
        minimum_minor=draw(st.sampled_from([0, 0, 2, 10])),
        maximum_minor=draw(st.sampled_from([10, 60, MAX_AMOUNT_MINOR])),
        rounding=draw(st.sampled_from(["down", "up", "half_even"])),
    )
