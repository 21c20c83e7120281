"""Everything that may happen to limits, drawn at random: two owners of the same requests, repetitions, kills, clocks.

What comes of it is judged afterwards from the database alone, by `tests/support/limit_replay.py`.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import pytest

from libs.common import crash_points
from libs.common.audit.asker import Asker
from libs.common.contracts.fraud import OutcomeAsked, TransferBatchScreened, TransferScreened
from libs.common.contracts.kyc import VerificationStatus
from libs.common.contracts.ledger import TransferStatus
from libs.common.contracts.transfers import TransferCommand
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Unavailable
from libs.common.ids import new_id
from services.fraud.domain.bounds import Bounds
from services.fraud.use_cases.find_payees import Asked
from services.fraud.use_cases.set_personal_limits import SetPersonalLimits
from services.fraud.use_cases.set_policy_limits import SetPolicyLimits
from tests.integration.fraud.office import NOON, Office, transfer

HOUR: Final = timedelta(hours=1)
_STEPS: Final = [timedelta(seconds=-90), timedelta(0), timedelta(0), timedelta(seconds=40), HOUR / 4, HOUR / 2, HOUR]
_AMOUNTS: Final = [1, 100, 9_999, 30_000_00, 999_999_99, 1_000_000_00, 1_000_000_01]
_POINTS: Final = ["fraud.before_commit", "fraud.after_commit_before_publish"]
_MOVED_NOTHING: Final[list[TransferStatus]] = ["refused", "voided"]
_ASSETS: Final = ["USD", "USD", "USD", "EUR"]


class Killed(BaseException):
    """What the process would not have survived."""


class Storm:
    """Two instances, their customers and what was asked of them so far."""

    def __init__(self, offices: Sequence[Office], uow: UnitOfWork, seed: int) -> None:
        self.offices = offices
        self.chance = random.Random(seed)
        self.users = [new_id() for _ in range(16)]
        self.waiting_payees = [new_id() for _ in range(40)]
        self.now = NOON
        self._owner = offices[0]
        self.requests: list[tuple[TransferCommand, ...]] = []
        self.decided: dict[str, str] = {}
        self._lost: set[str] = set()
        self.operations = 0
        self.did: Counter[str] = Counter()
        self._tiers = dict.fromkeys(self.users, 0)
        self._versions: Counter[str] = Counter()
        self._asker = Asker(actor_id=new_id(), actor_kind="person")
        self._set_personal = SetPersonalLimits(uow, lambda: self.now)
        self._set_policy = SetPolicyLimits(uow, lambda: self.now)

    async def begin(self) -> None:
        """Let four of the customers be businesses, whose counts are small enough here to be met."""
        business = Bounds(1, 1_000_000_00, 5_000_000_00, 90, 300)
        await self._set_policy(asker=self._asker, kind="profile", subject="business", bounds=business, reason="x")
        for user_id in self.users:
            await self._verify(user_id, tier=0 if user_id == self.users[-1] else self.chance.randrange(1, 4))
        for user_id in self.users[:4]:
            await self.offices[0].give_profile(user_id, "business")
        for user_id in self.users[8:13]:  # so few that a short storm, too, meets either count
            narrow = Bounds(hour_count=5) if user_id in self.users[8:11] else Bounds(day_count=12)
            await self._set_personal(asker=self._asker, user_id=user_id, bounds=narrow, reason="a storm")

    async def run(self, operations: int, killing: pytest.MonkeyPatch) -> None:
        """Go on until so many transfers were asked for, repetitions included."""
        chance = self.chance
        kinds = [
            *[self._send] * 12,
            *[self._send_to_both] * 2,
            *[self._hear] * 2,
            self._ask_and_lose,
            self._restart,
            self._burst,
            self._send_batches,
            self._set_limits_of_one,
            self._set_limits_of_tier,
            self._change_tier,
            self._settle_payees,
        ]
        while self.operations < operations:
            self._let_time_pass()
            # Who is not the owner remembers an old state, so each change of hands costs reading it all again.
            self._owner = chance.choice(self.offices) if chance.randrange(10) == 0 else self._owner
            if chance.randrange(20) == 0:
                await self._kill(killing)
            else:
                kind = chance.choice(kinds)
                self.did[kind.__name__] += 1
                await kind()
            self._read_answers()

    def _let_time_pass(self) -> None:
        self.now += self.chance.choice(_STEPS)
        if self.chance.randrange(40) == 0:
            self.now += HOUR * 20
        for office in self.offices:  # the clocks of two machines
            office.now = self.now + timedelta(seconds=self.chance.choice([-2, 0, 0, 3]))
            if self.chance.randrange(6) == 0:
                office.policy_grows_old()

    def _read_answers(self) -> None:
        """Whoever asks about a transfer, and however often, hears of one decision."""
        for office in self.offices:
            for message in office.said:
                if isinstance(message, TransferBatchScreened):
                    screenings: tuple[TransferScreened, ...] = message.screenings
                else:
                    screenings = (message,) if isinstance(message, TransferScreened) else ()
                for one in screenings:
                    known = self.decided.setdefault(one.command.transfer_id, one.decision_id)
                    assert known == one.decision_id, one.command.transfer_id
            office.publisher.sent.clear()

    def _any_transfer(self, user: str = "") -> TransferCommand:
        chance = self.chance
        user = user or chance.choice(self.users)
        amount_minor = chance.choice(_AMOUNTS)
        # Few send much, so that every limit is met: the day's sum by some, the counts by others.
        amount_minor = amount_minor if user in self.users[2:8] else min(amount_minor, 9_999)
        waits = chance.randrange(8) == 0
        return transfer(
            user,
            amount_minor=amount_minor,
            asset=chance.choice(_ASSETS),
            payee=chance.choice(self.waiting_payees) if waits else None,
            payee_tier=0 if waits else 1,
            payer_tier=0,
        )

    def _some_requests(self) -> list[tuple[TransferCommand, ...]]:
        """New ones, some of them twice, among old ones, in any order."""
        new = [(self._any_transfer(),) for _ in range(self.chance.randrange(1, 60))]
        old = self.chance.sample(self.requests, k=min(24, len(self.requests)))
        self.requests += new
        asked = [*new, *new[:3], *old]
        self.chance.shuffle(asked)
        self.operations += len(asked)
        return asked

    async def _screen(self, office: Office, requests: Sequence[tuple[TransferCommand, ...]]) -> None:
        """Screen as delivery does, until it is done."""
        asked = [Asked(commands, batch_id=None if len(commands) == 1 else _batch_of(commands)) for commands in requests]
        while True:
            try:
                await office.screen(asked)
            except Unavailable:
                await asyncio.sleep(0)
            else:
                return

    async def _send(self) -> None:
        await self._screen(self._owner, self._some_requests())

    async def _send_to_both(self) -> None:
        """Two owners of one partition: both get everything, each in an order of his own."""
        requests = self._some_requests()
        again = self.chance.sample(requests, k=len(requests))
        self.operations += len(again)
        await asyncio.gather(self._screen(self.offices[0], requests), self._screen(self.offices[1], again))

    async def _send_batches(self) -> None:
        user = self.chance.choice(self.users)
        batches = [
            tuple(self._any_transfer(user) for _ in range(self.chance.randrange(2, 6)))
            for _ in range(self.chance.randrange(1, 6))
        ]
        singles = [(self._any_transfer(user),) for _ in range(4)]
        requests = [*batches, *singles]
        self.chance.shuffle(requests)
        self.requests += requests
        self.operations += sum(map(len, requests))
        await self._screen(self._owner, requests)

    async def _burst(self) -> None:
        user = self.chance.choice(self.users)
        commands = [(self._any_transfer(user),) for _ in range(8)]
        self.requests += commands
        self.operations += len(commands)
        await asyncio.gather(*[self._screen(self.offices[at % 2], [one]) for at, one in enumerate(commands)])

    async def _kill(self, killing: pytest.MonkeyPatch) -> None:
        """Kill an instance before or after its commit; whoever comes next remembers nothing, and is asked again."""
        point, requests = self.chance.choice(_POINTS), self._some_requests()

        def kill(name: str) -> None:
            if name == point:
                raise Killed

        with killing.context() as hooked:
            hooked.setattr(crash_points, "_hook", kill)
            try:
                await self._screen(self._owner, requests)
            except Killed:
                self.did[f"killed {point}"] += 1
        self._owner.forget()
        await self._screen(self._owner, requests)

    async def _restart(self) -> None:
        self._owner.forget()

    async def _hear(self) -> None:
        """Both hear of the same refusals, one of them twice."""
        known = [commands[0].transfer_id for commands in self.requests if commands[0].transfer_id in self.decided]
        refused = self.chance.sample(known, k=min(8, len(known)))
        status = self.chance.choice(_MOVED_NOTHING)

        async def hear(office: Office) -> None:
            for transfer_id in refused:
                await self._until_heard(office, transfer_id, status)

        await asyncio.gather(*[hear(office) for office in (*self.offices, self.offices[0])])

    async def _ask_and_lose(self) -> None:
        """Whoever decides asks, and both hear the answers, one of them twice; of other refusals nobody hears."""
        await self._owner.ask_outcomes()
        asked = [one.key for one in self._owner.publisher.sent if one.message_type == OutcomeAsked.TYPE]
        self.did["asked what became of one"] += len(asked)
        for transfer_id in [one for one in asked if one in self._lost]:
            self.did["told when asked"] += 1
            self._lost.discard(transfer_id)
            for office in (*self.offices, self.offices[0]):
                await self._until_heard(office, transfer_id, "refused")
        sent = [commands[0].transfer_id for commands in self.requests[-400:]]
        self._lost.update(one for one in self.chance.sample(sent, k=min(40, len(sent))) if one in self.decided)

    async def _until_heard(self, office: Office, transfer_id: str, status: TransferStatus) -> None:
        while True:
            try:
                await office.hear(transfer_id, status)
            except Unavailable:
                await asyncio.sleep(0)
            else:
                return

    async def _set_limits_of_one(self) -> None:
        chance = self.chance
        bounds = Bounds(
            max_minor=chance.choice([None, None, 50_00, 30_000_00]),
            day_sum_minor=chance.choice([None, 100_000_00, 2_000_000_00]),
            hour_count=chance.choice([None, None, 5, 20]),
            day_count=chance.choice([None, 60, 100]),
        )
        bounds = chance.choice([bounds, Bounds()])
        user_id = chance.choice(self.users)
        await self._set_personal(asker=self._asker, user_id=user_id, bounds=bounds, reason="a storm")

    async def _set_limits_of_tier(self) -> None:
        bounds = Bounds(
            max_minor=self.chance.choice([1_000_000_00, 500_000_00]), hour_count=self.chance.choice([None, 40])
        )
        await self._set_policy(
            asker=self._asker, kind="tier", subject=self.chance.choice("123"), bounds=bounds, reason="a storm"
        )

    async def _change_tier(self) -> None:
        await self._verify(self.chance.choice(self.users), tier=self.chance.choice([0, 1, 1, 2, 2, 3, 3]))

    async def _settle_payees(self) -> None:
        """Somebody waited for is verified or turned down, so that holds end, some after their slot has left."""
        for payee in self.chance.sample(self.waiting_payees, k=3):
            self.waiting_payees.remove(payee)
            self.waiting_payees.append(new_id())
            rejected = self.chance.randrange(4) == 0
            await self._verify(payee, tier=0 if rejected else 1)

    async def _verify(self, user_id: str, *, tier: int) -> None:
        self._versions[user_id] += 2  # the gateway saw version 1
        status: VerificationStatus = "approved" if tier else "rejected"
        while True:
            try:
                await self._owner.verify(user_id, tier=tier, status=status, version=self._versions[user_id])
            except Unavailable:
                await asyncio.sleep(0)
            else:
                return


def _batch_of(commands: Sequence[TransferCommand]) -> str:
    """The id of an atomic batch, the same whenever it is asked for."""
    return commands[0].transfer_id[:-4] + "ffff"
