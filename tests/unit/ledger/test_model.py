"""The engine against the naive model, over random histories: every answer, every balance, every promise.

A history is made of commands in any order, sent again, cut into batches anywhere, decided by two writers of whom one is
often out of date, while time, fee schedules and what accounts may do change. TALLYSTICK_MODEL_STEPS says how many
commands at least.
"""

import os
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final, Literal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace

from libs.common.contracts.gateway import PublishFeeSchedule
from libs.common.money import MAX_AMOUNT_MINOR
from services.ledger.domain.account import AccountStatus
from services.ledger.domain.commands import BlockedCommand, Command, ExpireHold, TransferScreened
from services.ledger.domain.run import AccountAnswer, CommandAnswer
from services.ledger.domain.run import Answer as EngineAnswer
from services.ledger.domain.transfer import Transfer
from tests.support.ledger_builders import (
    batch,
    capture,
    change,
    id_of,
    resolved,
    reverse,
    screened,
    void,
)
from tests.unit.ledger.memory_ledger import Ledger, Writer
from tests.unit.ledger.model import Answer, Model, ModelAccount
from tests.unit.ledger.random_commands import (
    ASSETS,
    CUSTOMERS,
    HOUSE,
    account_name,
    all_accounts,
    fee_rules,
    legs_of,
    people,
    picks,
    shares,
    transfers,
)

STEPS: Final = int(os.environ.get("TALLYSTICK_MODEL_STEPS", "1000"))
STEPS_OF_ONE: Final = 60
START: Final = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def seen(answer: EngineAnswer) -> Answer:
    """Return the engine's answer as the model would give it."""
    match answer:
        case CommandAnswer():
            return ("command", answer.command_id, answer.status, answer.code, dict(answer.facts))
        case AccountAnswer():
            return ("account", answer.account_id, answer.status, answer.minimum_minor, answer.maximum_minor)
        case Transfer():
            return seen_transfer(answer)


def seen_transfer(each: Transfer) -> Answer:
    settlement = each.settlement
    settled: Answer = ()
    if each.status in {"posted", "held"}:
        moved = tuple(part.amount_minor for part in each.legs)
        settled = (
            ("", "", moved, (0,) * len(moved))
            if settlement is None
            else (settlement.resolver, settlement.expires_at, settlement.captured_minor, settlement.reversed_minor)
        )
    return (
        "transfer",
        each.transfer_id,
        each.status,
        each.code,
        dict(each.facts),
        each.version,
        each.reasons,
        each.fee_minor,
        each.reverses,
        each.gave_back_minor,
        *settled,
    )


class Histories(RuleBasedStateMachine):
    """Sends each command to the model at once, and to the engine with its batch."""

    steps = 0
    """Commands of all histories."""

    def __init__(self) -> None:
        super().__init__()
        accounts = all_accounts()
        self.ledger = Ledger(accounts)
        self.writers = (Writer(self.ledger), Writer(self.ledger))
        self.model = Model(
            {key: ModelAccount(each.owner_id, each.asset, each.minimum_minor) for key, each in accounts.items()},
            [(key, each.posted_minor) for key, each in accounts.items()],
        )
        self.now = START
        self.numbers = count()
        self.letters: list[Command] = []
        self.screenings: list[TransferScreened] = []
        self.queue: list[Command] = []
        self.expected: list[Answer] = []

    # What comes in.

    @rule(data=st.data(), number=st.integers(1, 3))
    def transfers_come(self, data: st.DataObject, number: int) -> None:
        for _ in range(number):
            screening = data.draw(transfers(f"t{next(self.numbers)}"))
            self.screenings.append(screening)
            self._send(screening)

    @rule(data=st.data(), size=st.integers(1, 3))
    def an_atomic_batch(self, data: st.DataObject, size: int) -> None:
        may_hold = data.draw(st.integers(0, 5)) == 5
        members = [data.draw(transfers(f"t{next(self.numbers)}", may_hold=may_hold)) for _ in range(size)]
        if self.screenings and data.draw(st.integers(0, 9)) == 9:
            members.append(self.screenings[-1])
        self.screenings += members
        self._send(batch(f"batch {next(self.numbers)}", *members))

    @rule(data=st.data(), resolution=st.sampled_from(["release", "release", "reject"]), pick=picks)
    def a_resolution(self, data: st.DataObject, resolution: Literal["release", "reject"], pick: int) -> None:
        held = [each for each in self.screenings if each.verdict == "hold"]
        if not held or data.draw(st.integers(0, 4)) == 4:
            # It comes before its hold, which is sent later or never.
            screening = data.draw(transfers(f"t{next(self.numbers)}"))
            self.screenings.append(screening)
            self.letters.append(screening)
        else:
            screening = held[-1 - pick % len(held)]
        reasons = screening.reasons or ("review",)
        reason = reasons[pick % len(reasons)]
        remaining = tuple(each for each in reasons if each != reason) if data.draw(st.booleans()) else ()
        code = "" if resolution == "release" else "review_rejected"
        message = resolved("it", resolution=resolution, reason=reason, remaining=remaining, code=code)
        self._send(replace(message, command=screening.command))

    @precondition(lambda self: self.has("held"))
    @rule(data=st.data(), pick=picks, parts=shares, final=st.sampled_from([False, False, False, True]))
    def a_capture(self, data: st.DataObject, pick: int, parts: list[int], final: bool) -> None:  # noqa: FBT001 -- hypothesis passes by keyword
        target = self._target(pick, "held", data)
        amounts_minor = self._shares(target, parts, "left")
        self._send(replace(capture("it", *amounts_minor, as_=self._new(), final=final), transfer_id=target))

    @rule(data=st.data(), story=st.lists(shares, max_size=3), ends=st.booleans())
    def a_hold_from_beginning_to_end(self, data: st.DataObject, story: list[list[int]], ends: bool) -> None:  # noqa: FBT001 -- hypothesis passes by keyword
        payer = data.draw(people)
        name = f"t{next(self.numbers)}"
        self._send(screened(name, *data.draw(legs_of(payer)), payer=payer, hold_seconds=30))
        for number, parts in enumerate(story, start=1):
            amounts_minor = self._shares(id_of(name), parts, "left")
            is_last = number == len(story) and not ends
            self._send(capture(name, *amounts_minor, as_=self._new(), final=is_last))
        if ends:
            self.time_passes(30)
            self._send(ExpireHold(id_of(name), _text(self.now)))

    @precondition(lambda self: self.has("held"))
    @rule(data=st.data(), pick=picks)
    def a_void(self, data: st.DataObject, pick: int) -> None:
        self._send(replace(void("it", as_=self._new()), transfer_id=self._target(pick, "held", data)))

    @precondition(lambda self: self.has("held"))
    @rule(data=st.data(), pick=picks)
    def an_expiry(self, data: st.DataObject, pick: int) -> None:
        self._send(ExpireHold(self._target(pick, "held", data), _text(self.now)))

    @precondition(lambda self: self.has("posted"))
    @rule(data=st.data(), pick=picks, parts=shares, with_fees=st.sampled_from([True, True, False]))
    def a_reversal(self, data: st.DataObject, pick: int, parts: list[int], with_fees: bool) -> None:  # noqa: FBT001 -- hypothesis passes by keyword
        target = self._target(pick, "posted", data)
        amounts_minor = self._shares(target, parts, "captured")
        self._send(replace(reverse("it", *amounts_minor, as_=self._new(), with_fees=with_fees), transfer_id=target))

    @precondition(lambda self: self.has("held") or self.has("posted"))
    @rule(data=st.data(), pick=picks, moves=st.sampled_from(["held", "posted"]))
    def a_command_that_fraud_blocks(self, data: st.DataObject, pick: int, moves: str) -> None:
        target = self._target(pick, moves, data)
        asked = capture("it", as_=self._new()) if moves == "held" else reverse("it", as_=self._new())
        self._send(BlockedCommand(replace(asked, transfer_id=target), "transfer_not_permitted"))

    @rule(
        pick=picks,
        status=st.sampled_from(["active", "active", "active", "frozen", "suspended", "closed", None]),
        minimum_minor=st.sampled_from([None, None, None, 0, -300, 50, 2_000]),
        maximum_minor=st.sampled_from([None, None, None, MAX_AMOUNT_MINOR, 1_500, 100]),
        only_while=st.sampled_from([None, None, "active", "frozen"]),
    )
    def a_change(
        self,
        pick: int,
        status: AccountStatus | None,
        minimum_minor: int | None,
        maximum_minor: int | None,
        only_while: AccountStatus | None,
    ) -> None:
        names = [id_of("nobody"), *self.model.accounts, *CUSTOMERS, *CUSTOMERS]
        message = change(
            "it",
            status,
            minimum_minor=minimum_minor,
            maximum_minor=maximum_minor,
            only_while=only_while,
            as_=self._new(),
        )
        self._send_alone(replace(message, account_id=names[pick % len(names)]))

    @initialize(data=st.data(), size=st.integers(0, 3), exempt=people)
    def fees_of_the_first_day(self, data: st.DataObject, size: int, exempt: str) -> None:
        self.a_fee_schedule(data, size, exempt)

    @rule(data=st.data(), size=st.integers(0, 3), exempt=people)
    def a_fee_schedule(self, data: st.DataObject, size: int, exempt: str) -> None:
        self._send_alone(
            PublishFeeSchedule(
                command_id=id_of(self._new()),
                actor_id=id_of("operator"),
                rules=tuple(data.draw(fee_rules(number)) for number in range(size)),
                exempt_account_ids=(id_of(account_name(exempt, "EUR")),),
                requested_at=_text(self.now),
            )
        )

    @rule(pick=picks)
    def the_same_again(self, pick: int) -> None:
        if self.letters:
            message = self.letters[-1 - pick % len(self.letters)]
            if type(message).__name__ in {"ChangeAccount", "PublishFeeSchedule"}:
                self._send_alone(message)
            else:
                self._send(message)

    @rule(seconds=st.integers(1, 30))
    def time_passes(self, seconds: int) -> None:
        self.the_batch_ends(0)
        self.now += timedelta(seconds=seconds)

    @rule(writer=st.integers(0, 1))
    def the_batch_ends(self, writer: int) -> None:
        self.writers[writer].now = _text(self.now)
        answers = self.writers[writer].write(self.queue)
        assert [seen(answer) for answer in answers] == self.expected
        self.queue, self.expected = [], []
        self._compare()

    def teardown(self) -> None:
        self.the_batch_ends(0)

    # How it is sent and compared.

    def _send(self, command: Command) -> None:
        Histories.steps += 1
        self.letters.append(command)
        self.queue.append(command)
        self.expected += self.model.do(command, _text(self.now))

    def _send_alone(self, command: Command) -> None:
        self.the_batch_ends(0)
        self._send(command)
        self.the_batch_ends(1)

    def _new(self) -> str:
        return f"command {next(self.numbers)}"

    def has(self, status: str) -> bool:
        return any(each.status == status for each in self.model.transfers.values())

    def _target(self, pick: int, status: str, data: st.DataObject) -> str:
        """Return the id of a transfer in that state; now and then of any, or of none at all."""
        ids = [id_of("no transfer"), *self.model.transfers]
        right = [
            key
            for key, each in self.model.transfers.items()
            if each.status == status and each.kind != "reversal" and each.resolver != "fraud"
        ]
        if right and data.draw(st.integers(0, 9)) < 9:
            ids = right
        return ids[-1 - pick % len(ids)]

    def _shares(self, target: str, parts: list[int], of: Literal["left", "captured"]) -> list[int]:
        """Return those quarters of what each leg has; nothing asks for all."""
        transfer = self.model.transfers.get(target)
        if transfer is None or not parts:
            return parts
        wholes: list[int] = getattr(transfer, of) if len(transfer.captured) == len(transfer.legs) else []
        several = [parts[number % len(parts)] for number in range(len(wholes) or len(parts))]
        if len(parts) == 5:
            several.append(1)
        quarters = [whole * part // 4 + part // 5 for whole, part in zip(wholes, several, strict=False)]
        return [*quarters, *several[len(wholes) :]]

    def _compare(self) -> None:
        assert self.ledger.size == self.model.records
        for account_id, each in self.ledger.accounts.items():
            rules = self.model.accounts[account_id]
            assert each.posted_minor == self.model.posted(account_id)
            assert each.pending_out_minor == self.model.pending(account_id, "source")
            assert each.pending_in_minor == self.model.pending(account_id, "destination")
            assert (each.status, each.minimum_minor, each.maximum_minor) == (
                rules.status,
                rules.minimum,
                rules.maximum,
            )
            assert each.available_minor >= 0
            assert each.posted_minor + each.pending_in_minor <= each.maximum_minor
        for asset in ASSETS:
            assert sum(each.posted_minor for each in self.ledger.accounts.values() if each.asset == asset) == 0
        for transfer_id, transfer in self.ledger.transfers.items():
            assert seen_transfer(transfer) == self.model.view(transfer_id)
            self._check_settlement(transfer)

    def _check_settlement(self, transfer: Transfer) -> None:
        settlement = transfer.settlement
        if settlement is None:
            return
        for number, part in enumerate(transfer.legs):
            assert 0 <= settlement.reversed_minor[number] <= settlement.captured_minor[number] <= part.amount_minor
        if transfer.kind != "reversal":
            assert 0 <= transfer.fee_minor <= sum(settlement.captured_minor)
            parts = sum(fee.amount_minor for fee in settlement.withheld)
            houses = {account_id for house in HOUSE.values() for account_id in house.values()}
            entered = sum(
                amount
                for (transfer_id, account_id), amount in self.ledger.entry_sums.items()
                if transfer_id == transfer.transfer_id and account_id in houses and transfer.kind == "transfer"
            )
            assert transfer.kind != "transfer" or entered == parts, "the parts are not the whole"


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.mark.timeout(180 + STEPS // 20)
def test_the_engine_does_what_the_rules_say() -> None:
    Histories.steps = 0
    while Histories.steps < STEPS:
        run_state_machine_as_test(
            Histories,
            settings=settings(
                max_examples=25,
                stateful_step_count=STEPS_OF_ONE,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
