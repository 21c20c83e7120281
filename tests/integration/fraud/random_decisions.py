"""Decisions of every kind, at random: alone, in batches that post together, blocked, held, of deposits as well."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random

from libs.common.contracts.transfers import TransferCommand
from libs.common.ids import new_id
from tests.integration.fraud.office import Office, deposit, transfer, withdrawal

RULES = """
name: tried
review_from: 50
block_from: 100
rules:
- id: round
  title: Round amounts
  when: usd_minor % 10000 == 0
  message: "{usd_minor} is round"
  typology: scam
  points: 50
  examples: [{given: {usd_minor: 10000}, hits: true}, {given: {usd_minor: 1}, hits: false}]
- id: large
  title: Large
  when: usd_minor > 40000
  message: "{usd_minor} is large"
  typology: scam
  points: 60
  examples: [{given: {usd_minor: 50000}, hits: true}, {given: {usd_minor: 1}, hits: false}]
- id: share
  title: Cannot always be computed
  when: usd_minor / (usd_minor % 7) > 1000000000
  message: never
  typology: other
  points: 1
  on_error: ignore
  examples: [{given: {usd_minor: 9000000006}, hits: true}, {given: {usd_minor: 1}, hits: false}]
"""


def _random_command(dice: Random, payers: Sequence[str]) -> TransferCommand:
    amount_minor = dice.choice([100_00, 123_45, 500_00, 433_21, 7_00, 2_000_000_00])
    match dice.randrange(10):
        case 0:
            return deposit(amount_minor=amount_minor)
        case 1:
            return withdrawal(dice.choice(payers), amount_minor=amount_minor)
        case 2:
            return transfer(dice.choice(payers), amount_minor=amount_minor, payee_tier=0)
        case 3:
            return transfer(new_id(), payer_tier=0, amount_minor=amount_minor)
        case _:
            return transfer(dice.choice(payers), amount_minor=amount_minor)


async def decide_at_random(
    office: Office, dice: Random, *, begins_at: datetime, days: int, payers: Sequence[str] = ()
) -> None:
    """Have some hundred requests decided, each day's midnight and the moment before it among them."""
    payers = payers or [new_id() for _ in range(4)]
    moments = [begins_at + timedelta(seconds=dice.randrange(days * 86_400)) for _ in range(40)]
    midnights = [begins_at + timedelta(days=day) for day in range(days)]
    for office.now in sorted(moments + midnights + [midnight - timedelta(microseconds=1) for midnight in midnights]):
        commands = [_random_command(dice, payers) for _ in range(dice.randrange(1, 4))]
        if dice.random() < 0.2:
            await office.ask_batch(*commands)
        else:
            await office.ask(*commands)
