"""The ledger as its rules tell it, command by command: what the engine is compared with.

It knows no batches, copies or savepoints and keeps no balance: a balance is the sum of all entries, what is pending is
the sum over all holds, and whether many legs may move is asked of a plan that is only then carried out. Slow, and
plain enough to be believed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from libs.common.money import MAX_AMOUNT_MINOR
from services.ledger.domain.commands import (
    BlockedCommand,
    CaptureTransfer,
    ChangeAccount,
    Command,
    ExpireHold,
    HoldResolved,
    Leg,
    PublishFeeSchedule,
    ReverseTransfer,
    TransferBatchScreened,
    TransferCommand,
    TransferScreened,
    VoidTransfer,
)
from tests.unit.ledger.model_fees import Part, due_beyond, fees_of, given_back, part_of

Answer: TypeAlias = tuple[object, ...]
Plan: TypeAlias = list[tuple[str, int]]
HOUSE = ""


Facts: TypeAlias = dict[str, int | str]


class No(Exception):
    """A rule says no, by this code and for these numbers."""

    def __init__(self, code: str, **facts: int | str) -> None:
        super().__init__(code)
        self.code, self.facts = code, facts


@dataclass
class ModelAccount:
    """What an account may do."""

    owner: str
    asset: str
    minimum: int = 0
    maximum: int = MAX_AMOUNT_MINOR
    status: str = "active"


@dataclass
class ModelTransfer:
    """Where a transfer stands; `fees` were withheld, `returned` is what of them was given back."""

    kind: str
    legs: Sequence[Leg]
    status: str
    code: str = ""
    facts: Facts = field(default_factory=dict)
    version: int = 1
    reasons: tuple[str, ...] = ()
    resolver: str = ""
    expires_at: str = ""
    schedule: int = 0
    captured: list[int] = field(default_factory=list)
    reversed: list[int] = field(default_factory=list)
    fees: list[Part] = field(default_factory=list)
    returned: int = 0
    reverses: str = ""
    gave_back: tuple[int, ...] = ()

    @property
    def left(self) -> list[int]:
        """What its hold still reserves by leg."""
        return [leg.amount_minor - moved for leg, moved in zip(self.legs, self.captured, strict=True)]


class Model:
    """Does one command after the other."""

    def __init__(self, accounts: dict[str, ModelAccount], opening: Plan) -> None:
        self.accounts = accounts
        self.entries: Plan = list(opening)
        self.transfers: dict[str, ModelTransfer] = {}
        self.commands: dict[str, Answer] = {}
        self.schedules: list[PublishFeeSchedule | None] = [None]
        self.reserve = {each.asset: key for key, each in accounts.items() if each.minimum < 0 and each.owner == HOUSE}
        self.records = 0
        self.now = ""

    def do(self, command: Command, now: str) -> list[Answer]:
        """Do the command; return what is answered."""
        self.now = now
        match command:
            case TransferScreened():
                return [self._screened(command)]
            case TransferBatchScreened():
                return self._batch(command.screenings)
            case HoldResolved():
                return [self._resolved(command)]
            case ExpireHold():
                return self._expire(command.transfer_id)
            case ReverseTransfer():
                return self._reverse(command)
            case BlockedCommand():
                return self._block(command.command, No(command.code))
            case CaptureTransfer() | VoidTransfer() | ChangeAccount() | PublishFeeSchedule():
                return self._once(command)

    # Balances.

    def posted(self, account_id: str, plan: Iterable[tuple[str, int]] = ()) -> int:
        return sum(amount for to, amount in (*self.entries, *plan) if to == account_id)

    def pending(self, account_id: str, side: str) -> int:
        return sum(
            amount
            for transfer in self.transfers.values()
            if transfer.status == "held"
            for leg, amount in zip(transfer.legs, transfer.left, strict=True)
            if getattr(leg, f"{side}_account_id") == account_id
        )

    def available(self, account_id: str, plan: Plan) -> int:
        pending = self.pending(account_id, "source")
        return self.posted(account_id, plan) - pending - self.accounts[account_id].minimum

    def _need_funds(self, account_id: str, amount: int, plan: Plan) -> None:
        available = self.available(account_id, plan)
        if available < amount:
            raise No("insufficient_funds", needed_minor=amount, available_minor=max(0, available))

    def _need_room(self, account_id: str, amount: int, plan: Plan) -> None:
        would_be = self.posted(account_id, plan) + self.pending(account_id, "destination") + amount
        if would_be > MAX_AMOUNT_MINOR:
            raise No("balance_overflow")
        if would_be > self.accounts[account_id].maximum:
            raise No("balance_limit_exceeded")

    # Transfers that are new.

    def _screened(self, screening: TransferScreened) -> Answer:
        command = screening.command
        if command.transfer_id in self.transfers:
            return self.view(command.transfer_id)
        if screening.verdict == "block":
            return self._new(command, "blocked", screening.code, screening.facts)
        return self._take(command, screening.reasons if screening.verdict == "hold" else ())

    def _take(self, command: TransferCommand, reasons: tuple[str, ...]) -> Answer:
        try:
            self._check_parties(command)
            if reasons or command.hold_seconds:
                self._check_reservation(command.legs)
                return self._hold(command, reasons)
            plan: Plan = []
            fees = self._plan(command.kind, command.legs, plan)
        except No as no:
            return self._new(command, "refused", no.code, no.facts)
        self.entries += plan
        return self._posted(command, fees)

    def _new(self, command: TransferCommand, status: str, code: str, facts: Facts | None = None) -> Answer:
        self.transfers[command.transfer_id] = ModelTransfer(command.kind, command.legs, status, code, facts or {})
        return self._record(command.transfer_id)

    def _posted(self, command: TransferCommand, fees: list[Part]) -> Answer:
        self.transfers[command.transfer_id] = ModelTransfer(
            command.kind,
            command.legs,
            "posted",
            captured=[leg.amount_minor for leg in command.legs],
            reversed=[0 for _ in command.legs],
            fees=fees,
        )
        return self._record(command.transfer_id)

    def _hold(self, command: TransferCommand, reasons: tuple[str, ...]) -> Answer:
        self.transfers[command.transfer_id] = ModelTransfer(
            command.kind,
            command.legs,
            "held",
            reasons=reasons,
            resolver="fraud" if reasons else "caller",
            expires_at="" if reasons else self._in(command.hold_seconds),
            schedule=len(self.schedules) - 1,
            captured=[0 for _ in command.legs],
            reversed=[0 for _ in command.legs],
        )
        return self._record(command.transfer_id)

    def _check_parties(self, command: TransferCommand) -> None:
        payer = command.payer.user_id if command.payer else None
        for leg in command.legs:
            source = self.accounts.get(leg.source_account_id)
            destination = self.accounts.get(leg.destination_account_id)
            if source is None or destination is None:
                raise No("unknown_account")
            reserve = self.reserve.get(leg.asset)
            is_in, is_out = command.kind == "deposit", command.kind == "withdrawal"
            if not is_out and (destination.owner == HOUSE or destination.owner != leg.destination_owner_id):
                raise No("unknown_account")
            if is_out and leg.destination_account_id != reserve:
                raise No("account_not_owned")
            if is_in and leg.source_account_id != reserve:
                raise No("account_not_owned")
            if not is_in and source.owner == HOUSE:
                raise No("unknown_account")
            if not is_in and source.owner != payer:
                raise No("account_not_owned")
            if leg.source_account_id == leg.destination_account_id:
                raise No("same_account")
            if {source.asset, destination.asset} != {leg.asset}:
                raise No("asset_mismatch")
            self._check_states([leg])

    def _check_states(self, legs: Iterable[Leg]) -> None:
        for leg in legs:
            source = self.accounts[leg.source_account_id].status
            for status in ("closed", "suspended"):
                if status in {source, self.accounts[leg.destination_account_id].status}:
                    raise No(f"account_{status}")
            if source == "frozen":
                raise No("account_frozen")

    def _check_reservation(self, legs: Sequence[Leg]) -> None:
        # What earlier legs reserve is as good as gone from the source, and as good as there at the destination.
        gone: Plan = []
        coming: Plan = []
        for leg in legs:
            self._need_funds(leg.source_account_id, leg.amount_minor, gone)
            self._need_room(leg.destination_account_id, leg.amount_minor, coming)
            gone.append((leg.source_account_id, -leg.amount_minor))
            coming.append((leg.destination_account_id, leg.amount_minor))

    def _plan(self, kind: str, legs: Sequence[Leg], plan: Plan) -> list[Part]:
        """Plan to move the legs in their order, after what is planned already."""
        amounts = [leg.amount_minor for leg in legs]
        fees = fees_of(self.schedules[-1], kind, legs, amounts)
        for number, leg in enumerate(legs):
            own = [part for part in fees if part[0] == number]
            self._need_funds(leg.source_account_id, leg.amount_minor, plan)
            self._need_room(leg.destination_account_id, leg.amount_minor, plan)
            plan += _moves(leg, leg.amount_minor, own)
        return fees

    def _batch(self, members: Sequence[TransferScreened]) -> list[Answer]:
        ids = [member.command.transfer_id for member in members]
        faults: dict[int, No] = {}
        is_whole = len(set(ids)) == len(ids) and not set(ids) & self.transfers.keys()
        if is_whole:
            faults = {
                number: No("hold_in_atomic_batch")
                for number, member in enumerate(members)
                if member.verdict == "hold" or (member.verdict == "approve" and member.command.hold_seconds)
            }
        plan: Plan = []
        fees: list[list[Part]] = []
        can_post = is_whole and not faults and all(member.verdict == "approve" for member in members)
        if can_post:
            for number, member in enumerate(members):
                try:
                    self._check_parties(member.command)
                    fees.append(self._plan(member.command.kind, member.command.legs, plan))
                except No as no:
                    faults[number] = no
                    break
        if can_post and not faults:
            self.entries += plan
            return [self._posted(member.command, own) for member, own in zip(members, fees, strict=True)]
        return [
            self._refused_member(member, faults.get(number, No("batch_refused")))
            for number, member in enumerate(members)
        ]

    def _refused_member(self, member: TransferScreened, no: No) -> Answer:
        if member.command.transfer_id in self.transfers:
            return self.view(member.command.transfer_id)
        if member.verdict == "block":
            return self._new(member.command, "blocked", member.code, member.facts)
        return self._new(member.command, "refused", no.code, no.facts)

    # Holds.

    def _resolved(self, resolution: HoldResolved) -> Answer:
        command = resolution.command
        transfer = self.transfers.get(command.transfer_id)
        if transfer is None and resolution.resolution == "reject":
            return self._new(command, "voided", resolution.code)
        if transfer is None:
            return self._take(command, resolution.remaining)
        if (transfer.status, transfer.resolver) != ("held", "fraud"):
            return self.view(command.transfer_id)
        if resolution.resolution == "reject":
            return self._end(command.transfer_id, resolution.code)
        reasons = tuple(reason for reason in transfer.reasons if reason in resolution.remaining)
        if reasons == transfer.reasons:
            return self.view(command.transfer_id)
        if not reasons:
            return self._release(command, transfer)
        return self._next(command.transfer_id, reasons=reasons)

    def _release(self, command: TransferCommand, transfer: ModelTransfer) -> Answer:
        try:
            self._check_states(transfer.legs)
        except No as no:
            return self._end(command.transfer_id, no.code)
        if command.hold_seconds:
            expires_at = self._in(command.hold_seconds)
            return self._next(command.transfer_id, reasons=(), resolver="caller", expires_at=expires_at)
        return self._settle(command.transfer_id, transfer.left, is_last=True)

    def _settle(self, transfer_id: str, moving: Sequence[int], *, is_last: bool) -> Answer:
        """Post these amounts of a hold, with the fees of its day."""
        transfer = self.transfers[transfer_id]
        captured = [before + moved for before, moved in zip(transfer.captured, moving, strict=True)]
        whole = fees_of(self.schedules[transfer.schedule], transfer.kind, transfer.legs, captured)
        fees = due_beyond(whole, transfer.fees, moving)
        for number, leg in enumerate(transfer.legs):
            self.entries += _moves(leg, moving[number], [part for part in fees if part[0] == number])
        status = "posted" if is_last else "held"
        return self._next(transfer_id, status=status, reasons=(), captured=captured, fees=[*transfer.fees, *fees])

    def _end(self, transfer_id: str, code: str) -> Answer:
        """End a hold: what was captured stays posted."""
        if any(self.transfers[transfer_id].captured):
            return self._next(transfer_id, status="posted")
        return self._next(transfer_id, status="voided", code=code, reasons=())

    def _hold_of_caller(self, transfer_id: str) -> ModelTransfer:
        if transfer_id not in self.transfers:
            raise No("transfer_not_found")
        transfer = self.transfers[transfer_id]
        if transfer.status != "held":
            raise No("transfer_not_held", transfer_status=transfer.status)
        if transfer.resolver != "caller":
            raise No("held_by_review")
        return transfer

    def _expire(self, transfer_id: str) -> list[Answer]:
        try:
            transfer = self._hold_of_caller(transfer_id)
        except No:
            return []
        return [self._end(transfer_id, "hold_expired")] if self.now >= transfer.expires_at else []

    # Commands that have their effect once.

    def _once(self, command: CaptureTransfer | VoidTransfer | ChangeAccount | PublishFeeSchedule) -> list[Answer]:
        key = command.command_id
        if key in self.commands:
            return [self.commands[key]]
        answers: list[Answer] = []
        done: Facts = {}
        try:
            match command:
                case CaptureTransfer():
                    answers.append(self._capture(command))
                case VoidTransfer():
                    self._hold_of_caller(command.transfer_id)
                    answers.append(self._end(command.transfer_id, "voided_by_caller"))
                case ChangeAccount():
                    answers.append(self._change(command))
                case PublishFeeSchedule():
                    self._publish(command)
                    done = {"fee_schedule": len(self.schedules) - 1}
            self.commands[key] = ("command", key, "done", "", done)
        except No as no:
            self.commands[key] = ("command", key, "refused", no.code, no.facts)
            self.records += 1
        return [self.commands[key], *answers]

    def _block(self, command: CaptureTransfer | ReverseTransfer, no: No) -> list[Answer]:
        key = command.command_id
        if isinstance(command, ReverseTransfer):
            if key in self.transfers:
                return [self.view(key)]
            self.transfers[key] = ModelTransfer("reversal", (), "refused", reverses=command.transfer_id, code=no.code)
            return [self._record(key)]
        if key not in self.commands:
            self.commands[key] = ("command", key, "refused", no.code, no.facts)
            self.records += 1
        return [self.commands[key]]

    def _capture(self, command: CaptureTransfer) -> Answer:
        transfer = self._hold_of_caller(command.transfer_id)
        if self.now >= transfer.expires_at:
            raise No("hold_expired", expires_at=transfer.expires_at)
        amounts = _amounts(command.amounts_minor, transfer.left, "capture_exceeds_hold")
        self._check_states(leg for leg, amount in zip(transfer.legs, amounts, strict=True) if amount)
        is_last = command.is_final or list(amounts) == transfer.left
        return self._settle(command.transfer_id, amounts, is_last=is_last)

    def _change(self, command: ChangeAccount) -> Answer:
        account_id = command.account_id
        if account_id not in self.accounts:
            raise No("account_not_found")
        account = self.accounts[account_id]
        minimum = account.minimum if command.minimum_minor is None else command.minimum_minor
        maximum = account.maximum if command.maximum_minor is None else command.maximum_minor
        out, in_ = self.pending(account_id, "source"), self.pending(account_id, "destination")
        posted = self.posted(account_id)
        if account.owner == HOUSE:
            raise No("system_account")
        if command.only_while and command.only_while != account.status:
            raise No(f"account_{account.status}")
        if command.status == "closed" and (posted, out, in_) != (0, 0, 0):
            raise No("account_not_empty", posted_minor=posted)
        if minimum > maximum:
            raise No("minimum_above_maximum")
        if posted - out < minimum:
            raise No("minimum_above_balance", posted_minor=posted)
        if posted + in_ > maximum:
            raise No("maximum_below_balance", posted_minor=posted)
        status = command.status or account.status
        self.accounts[account_id] = replace(account, status=status, minimum=minimum, maximum=maximum)
        self.records += 1
        return ("account", account_id, status, minimum, maximum)

    def _publish(self, command: PublishFeeSchedule) -> None:
        for rule in command.rules:
            ends = range(max(tier.from_minor for tier in rule.tiers) + 1)
            if any(part_of(rule, amount) > part_of(rule, amount + 1) for amount in ends):
                raise No("fee_falls", rule_id=rule.rule_id)
        self.schedules.append(command)
        self.records += 1

    # Reversals.

    def _reverse(self, command: ReverseTransfer) -> list[Answer]:
        if command.command_id in self.transfers:
            return [self.view(command.command_id)]
        reversal = ModelTransfer("reversal", (), "refused", reverses=command.transfer_id)
        self.transfers[command.command_id] = reversal
        try:
            original, amounts, fees, plan = self._plan_reversal(command)
        except No as no:
            reversal.code, reversal.facts = no.code, no.facts
            return [self._record(command.command_id)]
        self.entries += plan
        returned = sum(part for _, _, part in fees)
        reversal.status, reversal.returned, reversal.gave_back = "posted", returned, tuple(amounts)
        reversal.captured = [amount for amount in amounts if amount]
        reversal.reversed = [0 for amount in amounts if amount]
        given = [before + amount for before, amount in zip(original.reversed, amounts, strict=True)]
        return [
            self._record(command.command_id),
            self._next(command.transfer_id, reversed=given, returned=original.returned + returned),
        ]

    def _plan_reversal(self, command: ReverseTransfer) -> tuple[ModelTransfer, Sequence[int], list[Part], Plan]:
        original = self.transfers.get(command.transfer_id)
        if original is None or command.transfer_id == command.command_id:
            raise No("transfer_not_found")
        if original.status != "posted" or original.kind == "reversal":
            raise No("transfer_not_reversible", original_status=original.status, kind=original.kind)
        left = [moved - back for moved, back in zip(original.captured, original.reversed, strict=True)]
        amounts = _amounts(command.amounts_minor, left, "reversal_exceeds_transfer")
        if not any(amounts):
            raise No("reversal_exceeds_transfer", remaining_minor=0)
        legs = [_backwards(leg) for leg in original.legs]
        self._check_states(leg for leg, amount in zip(legs, amounts, strict=True) if amount)
        after = [before + amount for before, amount in zip(original.reversed, amounts, strict=True)]
        fees = given_back(original.fees, original.captured, original.reversed, after) if command.with_fees else []
        plan: Plan = []
        for number, (leg, amount) in enumerate(zip(legs, amounts, strict=True)):
            own = [part for part in fees if part[0] == number]
            back = sum(part for _, _, part in own)
            self._need_funds(leg.source_account_id, amount - back, plan)
            for _, house, part in own:
                if self.available(house, plan) < part:
                    raise No("insufficient_funds")
            self._need_room(leg.destination_account_id, amount, plan)
            plan += [(leg.source_account_id, back - amount), (leg.destination_account_id, amount)]
            plan += [(house, -part) for _, house, part in own]
        return original, amounts, fees, plan

    # What is answered.

    def _next(self, transfer_id: str, **changes: Any) -> Answer:
        transfer = self.transfers[transfer_id]
        self.transfers[transfer_id] = replace(transfer, version=transfer.version + 1, **changes)
        return self._record(transfer_id)

    def _record(self, transfer_id: str) -> Answer:
        self.records += 1
        return self.view(transfer_id)

    def view(self, transfer_id: str) -> Answer:
        """Return what everybody may know of a transfer."""
        each = self.transfers[transfer_id]
        seen: Answer = ()
        if each.status in {"posted", "held"}:
            seen = (each.resolver, each.expires_at, tuple(each.captured), tuple(each.reversed))
        fee = sum(part for _, _, part in each.fees) - each.returned
        why = (each.status, each.code, each.facts)
        return ("transfer", transfer_id, *why, each.version, each.reasons, fee, each.reverses, each.gave_back, *seen)

    def _in(self, seconds: int) -> str:
        ends_at = datetime.fromisoformat(self.now) + timedelta(seconds=seconds)
        return ends_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _amounts(asked: Sequence[int], left: Sequence[int], too_much: str) -> Sequence[int]:
    """Return the amounts by leg that were asked for; none named is all that is left."""
    if not asked:
        return left
    if len(asked) != len(left) or not any(asked):
        raise No("amounts_by_leg", legs=len(left))
    for amount, most in zip(asked, left, strict=True):
        if amount > most:
            raise No(too_much, requested_minor=amount, remaining_minor=most)
    return asked


def _moves(leg: Leg, amount: int, fees: Sequence[Part]) -> Plan:
    """Return what moving a leg's amount does to whom."""
    withheld = sum(part for _, _, part in fees)
    parts = [(house, part) for _, house, part in fees]
    return [(leg.source_account_id, -amount), (leg.destination_account_id, amount - withheld), *parts]


def _backwards(leg: Leg) -> Leg:
    return Leg(leg.destination_account_id, leg.source_account_id, leg.amount_minor, leg.asset, "")
