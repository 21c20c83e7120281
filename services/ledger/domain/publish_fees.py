"""Staff put a new fee schedule in force.

It is refused in this order:

    1. fee_rules_out_of_bounds   more than 100 rules or 1,000 exempt accounts, or an id that is taken twice
    2. asset_unknown             a rule is about an asset the ledger does not keep
    3. fee_tiers_invalid         a rule has no tier from 0, more than 20, or tiers that do not go up
    4. fee_out_of_bounds         a part is below zero, a rate above the whole, or the minimum above the maximum
    5. fee_falls                 a larger amount would cost less, at a tier's beginning: a hold's parts could not add up
"""

from itertools import pairwise
from typing import Final

from libs.common.money import ASSET_EXPONENTS, MAX_AMOUNT_MINOR
from services.ledger.domain.commands import FeeRule, PublishFeeSchedule
from services.ledger.domain.fees import PER, FeeSchedule, part_of
from services.ledger.domain.refuse_transfer import Refusal
from services.ledger.domain.run import Change, FeeAnswer, Run

PUBLISH: Final = "fee_schedule"
RULES_MAX: Final = 100
TIERS_MAX: Final = 20
EXEMPT_MAX: Final = 1_000


def publish_fees(run: Run, command: PublishFeeSchedule) -> None:
    """Let the schedule hold for every transfer from here on; holds keep that of their day."""
    answer = run.done.get(command.command_id)
    if answer is not None:
        run.decisions.answers.append(answer)
        return
    refusal = _refuse(command)
    if refusal is not None:
        run.refuse_command(command, command.command_id, PUBLISH, command.command_id, refusal)
        return
    schedule = FeeSchedule(run.fees.version + 1, command.rules, frozenset(command.exempt_account_ids))
    done = {"fee_schedule": schedule.version}
    run.answer_command(command.command_id, PUBLISH, command.command_id, index=run.index, done=done)
    state = FeeAnswer(schedule, command.actor_id, run.index, run.now)
    run.decisions.changes.append(Change("fees.published", state, command, ()))
    run.decisions.published = state
    run.index += 1


def _refuse(command: PublishFeeSchedule) -> Refusal | None:
    names = {rule.rule_id for rule in command.rules}
    if len(names) != len(command.rules) or len(names) > RULES_MAX or len(command.exempt_account_ids) > EXEMPT_MAX:
        return Refusal("fee_rules_out_of_bounds", {"rules": len(command.rules)})
    for rule in command.rules:
        refusal = _refuse_rule(rule)
        if refusal is not None:
            return refusal
    return None


def _refuse_rule(rule: FeeRule) -> Refusal | None:
    about = {"rule_id": rule.rule_id}
    if rule.asset not in ASSET_EXPONENTS:
        return Refusal("asset_unknown", about)
    starts = [tier.from_minor for tier in rule.tiers]
    if not 0 < len(starts) <= TIERS_MAX or starts[0] != 0 or any(one >= next_ for one, next_ in pairwise(starts)):
        return Refusal("fee_tiers_invalid", about)
    parts = [rule.minimum_minor, rule.maximum_minor, *(tier.flat_minor for tier in rule.tiers), starts[-1]]
    if not all(0 <= part <= MAX_AMOUNT_MINOR for part in parts) or rule.minimum_minor > rule.maximum_minor:
        return Refusal("fee_out_of_bounds", about)
    if not all(0 <= tier.rate_per_million <= PER for tier in rule.tiers):
        return Refusal("fee_out_of_bounds", about)
    # Within a tier a fee only grows, so its beginnings are where it could fall.
    if any(part_of(rule, start) < part_of(rule, start - 1) for start in starts[1:]):
        return Refusal("fee_falls", about)
    return None
