"""Fees as the rules say them, in exact fractions: what the engine's integers are compared with."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TypeAlias

from libs.common.contracts.gateway import FeeRule, PublishFeeSchedule
from libs.common.contracts.transfers import Leg
from libs.common.ids import system_account_id

NUMBERS = {"treasury": "SYS-TREASURY-0001", "fees": "SYS-FEES-0001"}
WHOLE = Fraction(1_000_000)

Part: TypeAlias = tuple[int, str, int]
"""(leg, account of the house, amount)"""


def part_of(rule: FeeRule, amount_minor: int) -> int:
    """Return what the rule takes of an amount: its tier's flat part and rate, rounded, between its bounds."""
    (*_, tier) = [tier for tier in rule.tiers if tier.from_minor <= amount_minor]
    rated = Fraction(amount_minor) * Fraction(tier.rate_per_million) / WHOLE
    # Python rounds a fraction's half to the even number.
    rounded = {"down": math.floor(rated), "up": math.ceil(rated), "half_even": round(rated)}[rule.rounding]
    return min(max(tier.flat_minor + rounded, rule.minimum_minor), rule.maximum_minor)


def fees_of(schedule: PublishFeeSchedule | None, kind: str, legs: Sequence[Leg], moved: Sequence[int]) -> list[Part]:
    """Return what is withheld when the legs move these amounts: rule by rule, until nothing of a leg is left."""
    parts: list[Part] = []
    if schedule is None:
        return parts
    for number, (leg, amount_minor) in enumerate(zip(legs, moved, strict=True)):
        for rule in schedule.rules:
            sides = {leg.source_account_id, leg.destination_account_id}
            if (rule.kind, rule.asset) != (kind, leg.asset) or sides & set(schedule.exempt_account_ids):
                continue
            taken = sum(part for of, _, part in parts if of == number)
            account_id = system_account_id(leg.asset, NUMBERS[rule.credit])
            parts.append((number, account_id, min(part_of(rule, amount_minor), amount_minor - taken)))
    return [part for part in parts if part[2]]


def due_beyond(whole: Sequence[Part], withheld: Sequence[Part], moving: Sequence[int]) -> list[Part]:
    """Return what a capture is charged: what all captures so far cost, less what was taken, at most what it moves."""
    charged: list[Part] = []
    for number, account_id in dict.fromkeys((number, account_id) for number, account_id, _ in whole):
        due = total(whole, number, account_id) - total(withheld, number, account_id)
        free = moving[number] - total(charged, number)
        charged.append((number, account_id, max(0, min(due, free))))
    return [part for part in charged if part[2]]


def given_back(
    withheld: Sequence[Part], moved: Sequence[int], before: Sequence[int], after: Sequence[int]
) -> list[Part]:
    """Return what the house gives back when a leg's reversed amount goes from `before` to `after`.

    A leg's fees go back in proportion to what is reversed, rounded down; the accounts share that in proportion, the
    first rounded down, the other gets the rest.
    """
    back: list[Part] = []
    for number, (whole, low, high) in enumerate(zip(moved, before, after, strict=True)):
        fees = total(withheld, number)
        if not fees:
            continue
        accounts = list(dict.fromkeys(account_id for of, account_id, _ in withheld if of == number))
        share = Fraction(total(withheld, number, accounts[0]), fees)
        sums = [math.floor(Fraction(fees * reversed_, whole)) for reversed_ in (low, high)]
        first = math.floor(share * sums[1]) - math.floor(share * sums[0])
        back.append((number, accounts[0], first))
        back += [(number, account_id, sums[1] - sums[0] - first) for account_id in accounts[1:]]
    return [part for part in back if part[2]]


def total(parts: Sequence[Part], number: int, account_id: str | None = None) -> int:
    """Return the sum of a leg's parts, of one account or of all."""
    return sum(part for of, to, part in parts if of == number and account_id in {None, to})
