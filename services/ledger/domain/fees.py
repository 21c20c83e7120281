"""What is withheld from a transfer: rules as data, in numbered schedules; the sum of the parts is always the whole.

A fee is taken out of what the payee gets, in the same posting. Of several rules that fit a leg each takes its part, in
their order, and together they never take more than the leg moves. What rounding leaves over stays with the payee.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

# tidy: allow impure-value-code: a message's frozen structs are the rules; a copy of them would only drift
from libs.common.contracts.gateway import FeeRule

# tidy: allow impure-value-code: the transfer's value types, shared by all who carry it
from libs.common.contracts.transfers import Leg
from libs.common.ids import system_account_id
from services.ledger.domain.system_accounts import FEES, TREASURY

PER: Final = 1_000_000
"""Rates are millionths of the amount: 2,500 is 2.5 per mille."""
_ACCOUNT_OF: Final = {"treasury": TREASURY, "fees": FEES}


class Fee(NamedTuple):
    """A part of leg number `leg` that an account of the house gets; below zero, what it gives back."""

    leg: int
    account_id: str
    amount_minor: int


def part_of(rule: FeeRule, amount_minor: int) -> int:
    """Return what a rule takes of the amount."""
    tiers = rule.tiers
    tier = tiers[0]
    if len(tiers) > 1:
        tier = next(tier for tier in reversed(tiers) if tier.from_minor <= amount_minor)
    part_minor = tier.flat_minor + _divide(amount_minor * tier.rate_per_million, PER, rule.rounding)
    # Spelled out: this is asked for every leg, and min(max(…)) costs as much as all the rest.
    if part_minor < rule.minimum_minor:
        return rule.minimum_minor
    return min(part_minor, rule.maximum_minor)


def account_of(rule: FeeRule) -> str:
    """Return the account of the house that gets what the rule takes."""
    return system_account_id(rule.asset, _ACCOUNT_OF[rule.credit])


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """All rules of one version; 0 is the one that takes nothing. Legs from or to an exempt account pay nothing."""

    version: int
    rules: tuple[FeeRule, ...]
    exempt_account_ids: frozenset[str] = frozenset()
    _by_use: Mapping[tuple[str, str], Sequence[tuple[str, FeeRule]]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sort the rules by what they are for."""
        by_use: dict[tuple[str, str], list[tuple[str, FeeRule]]] = {}
        for rule in self.rules:
            by_use.setdefault((rule.kind, rule.asset), []).append((account_of(rule), rule))
        object.__setattr__(self, "_by_use", by_use)

    def fees_of(self, kind: str, legs: Iterable[Leg]) -> tuple[Fee, ...]:
        """Return what is withheld from the legs of such a transfer."""
        by_use = self._by_use
        if not by_use:
            return ()
        fees: list[Fee] = []
        for position, leg in enumerate(legs):
            rules = by_use.get((kind, leg.asset))
            if rules is None or (self.exempt_account_ids and self._is_exempt(leg)):
                continue
            left_minor = amount_minor = leg.amount_minor
            for account_id, rule in rules:
                part_minor = part_of(rule, amount_minor)
                part_minor = min(part_minor, left_minor)
                if part_minor:
                    fees.append(Fee(position, account_id, part_minor))
                    left_minor -= part_minor
        return tuple(fees)

    def _is_exempt(self, leg: Leg) -> bool:
        exempt = self.exempt_account_ids
        return leg.source_account_id in exempt or leg.destination_account_id in exempt


NO_FEES: Final = FeeSchedule(0, ())


def merge(fees: Iterable[Fee]) -> dict[tuple[int, str], int]:
    """Return (leg, account) → the sum of its fees."""
    sums: dict[tuple[int, str], int] = {}
    for leg, account_id, amount_minor in fees:
        sums[leg, account_id] = sums.get((leg, account_id), 0) + amount_minor
    return sums


def beyond(whole: Iterable[Fee], before: Iterable[Fee], *, moved_minor: Sequence[int]) -> tuple[Fee, ...]:
    """Return what `whole` takes beyond what was taken `before`, for a capture that moves `moved_minor` by leg.

    A capture costs no more than it moves: what is due beyond that is taken from the next one.
    """
    sums = merge(whole)
    for key, taken_minor in merge(before).items():
        sums[key] = sums.get(key, 0) - taken_minor
    left_minor = list(moved_minor)
    fees = []
    for (leg, account_id), due_minor in sums.items():
        amount_minor = min(due_minor, left_minor[leg])
        if amount_minor > 0:
            fees.append(Fee(leg, account_id, amount_minor))
            left_minor[leg] -= amount_minor
    return tuple(fees)


def given_back(
    withheld: Iterable[Fee],
    *,
    moved_minor: Sequence[int],
    before_minor: Sequence[int],
    after_minor: Sequence[int],
) -> tuple[Fee, ...]:
    """Return the fees that go back, below zero, with a reversal after which `after_minor` of `moved_minor` is reversed.

    In proportion, rounded down over the sum of all reversals: if all of them ask for fees, the last brings back what is
    left. What a reversal without fees left with the house stays there, so that none gives back more than it moves.
    The accounts that took a leg's fees share what goes back in the proportion in which they took them.
    """
    takers: dict[int, list[tuple[str, int]]] = {}
    for (leg, account_id), taken_minor in merge(withheld).items():
        takers.setdefault(leg, []).append((account_id, taken_minor))
    back = []
    for leg, shares in takers.items():
        whole_minor = sum(taken_minor for _, taken_minor in shares)
        earlier_minor, now_minor = (
            whole_minor * reversed_minor[leg] // moved_minor[leg] for reversed_minor in (before_minor, after_minor)
        )
        given_minor = share_minor = 0
        for account_id, taken_minor in shares:
            # Of the sum of all shares up to this one, so that they add up to the whole.
            share_minor += taken_minor
            due_minor = now_minor * share_minor // whole_minor - earlier_minor * share_minor // whole_minor
            if due_minor != given_minor:
                back.append(Fee(leg, account_id, given_minor - due_minor))
            given_minor = due_minor
    return tuple(back)


def _divide(numerator: int, denominator: int, rounding: str) -> int:
    quotient, remainder = divmod(numerator, denominator)
    if rounding == "down" or remainder == 0:
        return quotient
    if rounding == "up":
        return quotient + 1
    return quotient + (remainder * 2 > denominator or (remainder * 2 == denominator and quotient % 2 == 1))
