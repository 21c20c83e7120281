"""The promise: over any history no transfer passes that a limit forbids, and none is blocked that it allows."""

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from libs.common.contracts.fraud import TransferScreened
from libs.common.contracts.transfers import TransferCommand
from libs.common.ids import new_id
from tests.integration.fraud.office import NOON, Office, transfer

HOUR, DAY = timedelta(hours=1), timedelta(hours=24)


class Oracle:
    """Decides by going through a customer's whole history each time."""

    def __init__(self) -> None:
        self.slots: dict[str, list[tuple[datetime, int, str]]] = {}
        self.verdicts: dict[str, str] = {}
        self.latest: dict[str, datetime] = {}

    def decide(self, command: TransferCommand, now: datetime) -> str:
        if (known := self.verdicts.get(command.transfer_id)) is not None:
            return known
        user = command.actor_id
        now = self.latest[user] = max(now, self.latest.get(user, now))
        slots = self.slots.setdefault(user, [])
        amount_minor = sum(leg.amount_minor for leg in command.legs)
        day = [slot for slot in slots if now - DAY < slot[0] <= now]
        hour = [slot for slot in day if now - HOUR < slot[0]]
        code = "approve"
        if amount_minor > 1_000_000_00:
            code = "amount_limit_exceeded"
        elif sum(slot[1] for slot in day) + amount_minor > 5_000_000_00:
            code = "daily_amount_limit_exceeded"
        elif len(hour) >= 50:
            code = "hourly_count_limit_exceeded"
        elif len(day) >= 200:
            code = "daily_count_limit_exceeded"
        else:
            slots.append((now, amount_minor, command.transfer_id))
        self.verdicts[command.transfer_id] = code
        return code

    def release(self, command: TransferCommand) -> None:
        slots = self.slots[command.actor_id]
        slots[:] = [slot for slot in slots if slot[2] != command.transfer_id]


def outcome(screened: TransferScreened) -> str:
    return screened.code or screened.verdict


async def test_ten_thousand_requests_with_repetitions_releases_restarts_and_clock_steps_match_the_oracle(
    office: Office, second_office: Office
) -> None:
    chance = random.Random(20260301)
    oracle, users = Oracle(), [new_id() for _ in range(12)]
    offices, asked, now, operations = (office, second_office), list[TransferCommand](), NOON, 0
    while operations < 10_000:
        now += chance.choice([timedelta(seconds=-90), timedelta(0), timedelta(seconds=40), HOUR / 4, HOUR / 2, HOUR])
        now += HOUR * 20 if chance.randrange(40) == 0 else timedelta(0)
        instance = chance.choice(offices)
        instance.now = now
        match chance.randrange(12):
            case 0:
                instance.forget()
            case 1 if asked:
                refused = chance.sample(asked, k=min(8, len(asked)))
                for command in refused:
                    await instance.hear(command.transfer_id, chance.choice(["refused", "voided"]))
                    oracle.release(command)
            case _:
                batch = [_any_transfer(chance, users) for _ in range(chance.randrange(1, 80))]
                repeated = chance.sample(asked, k=min(10, len(asked)))
                batch = [*batch, *batch[:3], *repeated]
                chance.shuffle(batch)
                await instance.ask_until_answered(*batch)
                _expect_same(instance, oracle, batch, now)
                asked += batch[:20]
                operations += len(batch)
    assert set(oracle.verdicts.values()) == {
        "approve",
        "amount_limit_exceeded",
        "daily_amount_limit_exceeded",
        "hourly_count_limit_exceeded",
        "daily_count_limit_exceeded",
    }


def _any_transfer(chance: random.Random, users: Sequence[str]) -> TransferCommand:
    amount_minor = chance.choice([1, 100, 9_999, 30_000_00, 999_999_99, 1_000_000_00, 1_000_000_01])
    # Few send much, so that every limit is met: the day's sum by some, the counts by others.
    user = chance.choice(users)
    return transfer(user, amount_minor=amount_minor if user in users[:4] else min(amount_minor, 9_999))


def _expect_same(instance: Office, oracle: Oracle, batch: Sequence[TransferCommand], now: datetime) -> None:
    expected = {command.transfer_id: oracle.decide(command, now) for command in batch}
    said = {message.command.transfer_id: outcome(message) for message in instance.said}
    instance.publisher.sent.clear()
    assert said == expected


async def test_sixty_four_senders_at_once_through_two_instances_use_the_limit_exactly(
    office: Office, second_office: Office
) -> None:
    payer = new_id()
    commands = [transfer(payer) for _ in range(64)]
    offices = (office, second_office)

    await asyncio.gather(
        *[offices[number % 2].ask_until_answered(command) for number, command in enumerate(commands)],
        *[offices[(number + 1) % 2].ask_until_answered(command) for number, command in enumerate(commands[:20])],
    )

    rows = await office.query("SELECT verdict, count(*) FROM fraud.decisions WHERE user_id = $1 GROUP BY 1", payer)
    assert dict(rows) == {"approve": 50, "block": 14}
    said = [message for instance in offices for message in instance.said]
    assert len({(message.command.transfer_id, message.decision_id) for message in said}) == 64
    assert len(said) >= 84, "a repeated request is answered again"


async def test_a_conflict_writes_nothing_and_the_next_try_sees_what_the_other_instance_did(
    office: Office, second_office: Office
) -> None:
    payer = new_id()
    await office.ask(*[transfer(payer) for _ in range(49)])
    await second_office.ask_one(transfer(payer))

    command = transfer(payer)
    await office.ask_until_answered(command)

    assert office.said[-1].code == "hourly_count_limit_exceeded"
    [[version]] = await office.query("SELECT version FROM fraud.users WHERE user_id = $1", payer)
    assert version == 3
