"""A transfer's life, worked through by the rules from what clients asked for: what should have become of it.

The ledger says in which order it decided the commands, by the index of their records, and when; all the rest, each
refusal's code included, follows from the amounts.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from tests.support.load_requests import CAPTURE, FINAL, REVERSAL, VOID, Command, Move

Entry: TypeAlias = tuple[int, str, int]
"""(index of the journal record, account id, amount)"""


_HTTP_STATUS = {"posted": 201, "held": 201, "refused": 422, "blocked": 403, "voided": 403}


@dataclass(frozen=True)
class Stored:
    """What the ledger has of a transfer; None where it has nothing."""

    transfer_id: str
    status: str | None
    code: str | None
    first_index: int
    posted_index: int | None
    expires_at: datetime | None
    captured_minor: int | None
    reversed_minor: int | None


@dataclass(frozen=True)
class Decided:
    """What the ledger has of a command; without a code it was done."""

    command_id: str
    subject_id: str
    code: str | None
    journal_index: int
    decided_at: datetime


@dataclass
class Life:
    """Where a transfer stands after what has been worked through; `wrong` lists what does not follow."""

    move: Move
    stored: Stored
    is_over: bool
    ended_as: str = "hold_expired"
    captured_minor: int = 0
    reversed_minor: int = 0
    entries: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    wrong: list[str] = field(default_factory=list)

    @property
    def left_minor(self) -> int:
        """What its hold still reserves."""
        return 0 if self.is_over else self.move.amount_minor - self.captured_minor

    def is_due(self, moment: datetime) -> bool:
        """Whether the clock may have ended it by then."""
        return self.stored.expires_at is not None and moment >= self.stored.expires_at

    def take(self, command: Command, decided: Decided) -> None:
        """Let the command have its effect, or say why it should not have been decided so."""
        code = decided.code
        if code is None:
            self.wrong.append(f"{command}: not decided")
            return
        allowed = self._codes(command, decided)
        if code not in allowed:
            self.wrong.append(f"{command}: decided {code!r} at {decided.journal_index}, not one of {allowed}")
            return
        if not code:
            self._do(command, decided)
        self._check_told(command, decided, code)

    def _codes(self, command: Command, decided: Decided) -> set[str]:
        if decided.journal_index < self.stored.first_index:
            return {"transfer_not_found"}
        is_due = self.is_due(decided.decided_at)
        if command.scope == REVERSAL:
            return self._codes_of_reversal(command, may_be_open=not self.is_over, may_be_over=self.is_over or is_due)
        if self.is_over:
            return {"transfer_not_held"}
        if command.scope == VOID:
            return {"", "transfer_not_held"} if is_due else {""}
        if is_due:
            return {"hold_expired", "transfer_not_held"}
        return {"capture_exceeds_hold"} if (command.amount_minor or 0) > self.left_minor else {""}

    def _codes_of_reversal(self, command: Command, *, may_be_open: bool, may_be_over: bool) -> set[str]:
        codes = {"transfer_not_reversible"} if may_be_open or not self.captured_minor else set()
        if may_be_over and self.captured_minor:
            left_minor = self.captured_minor - self.reversed_minor
            is_too_much = (command.amount_minor or 1) > left_minor
            codes |= {"reversal_exceeds_transfer"} if is_too_much else {"", "insufficient_funds"}
        return codes

    def post(self, transfer_id: str, index: int, amount_minor: int) -> None:
        """Expect that the record at `index` moves the amount, or back below zero, for a transfer or a reversal."""
        move, made = self.move, self.entries[transfer_id]
        made += [(index, move.source_account_id, -amount_minor), (index, move.destination_account_id, amount_minor)]

    def _do(self, command: Command, decided: Decided) -> None:
        if command.scope == CAPTURE:
            amount_minor = command.amount_minor or self.left_minor
            self.is_over = command.is_final or amount_minor == self.left_minor
            self.captured_minor += amount_minor
            self.post(self.stored.transfer_id, decided.journal_index, amount_minor)
        elif command.scope == VOID:
            self.is_over, self.ended_as = True, "voided_by_caller"
        else:
            amount_minor = command.amount_minor or self.captured_minor - self.reversed_minor
            self.is_over = True
            self.reversed_minor += amount_minor
            self.post(decided.command_id, decided.journal_index, -amount_minor)

    def _check_told(self, command: Command, decided: Decided, code: str) -> None:
        """The same was told each time, and it is what this very command did: later ones do not show."""
        is_reversal = command.scope == REVERSAL
        if code:
            expected = (404 if code == "transfer_not_found" else 422, "refused", code, 0)
        elif is_reversal:
            expected = (201, "posted", "", -self.entries[decided.command_id][-1][2])
        else:
            expected = (200, *self._state(), self.captured_minor)
        told = {(a.http_status, a.status, a.code, a.moved_minor) for a in command.answers if a.http_status != 202}
        if told != {expected}:
            self.wrong.append(f"{command}: told {told or 'nothing final'}, is {expected}")
        about = decided.command_id if is_reversal else command.transfer_id
        named = {(answer.transfer_id or about, answer.command_id or decided.command_id) for answer in command.answers}
        if named != {(about, decided.command_id)} or decided.subject_id != command.transfer_id:
            self.wrong.append(f"{command}: named {named}, is {decided.command_id} of {decided.subject_id}")

    def _state(self) -> tuple[str, str]:
        if not self.is_over:
            return "held", ""
        return ("posted", "") if self.captured_minor else ("voided", self.ended_as)

    def end(self, now: datetime) -> None:
        """Compare what is stored of the transfer at last, and what was told of its request."""
        stored, is_hold = self.stored, bool(self.move.hold_seconds)
        is_refused = stored.status in ("refused", "blocked")
        if is_hold and not is_refused:
            self.is_over = self.is_over or self.is_due(now)
            if (stored.status, stored.code) != self._state():
                self.wrong.append(f"is {stored.status} {stored.code}, should be {self._state()}")
        elif stored.status not in FINAL:
            self.wrong.append(f"is {stored.status}")
        for name, is_, should in (
            ("captured", stored.captured_minor, self.captured_minor),
            ("reversed", stored.reversed_minor, self.reversed_minor),
        ):
            if is_ is not None and is_ != should:
                self.wrong.append(f"{name} is {is_}, the commands make {should}")
        self._check_answers(first="held" if is_hold and not is_refused else str(stored.status))

    def _check_answers(self, *, first: str) -> None:
        answers, stored = self.move.answers, self.stored
        self.wrong += [
            f"named {each.transfer_id}, is {stored.transfer_id}"
            for each in answers
            if each.transfer_id != stored.transfer_id
        ]
        expected = {(_HTTP_STATUS.get(first, 0), first, "" if first == "held" else stored.code)}
        if first == "held" and self.is_over:
            # A broker that forgets may keep the hold itself from the gateway, which then answers with its end.
            status, code = self._state()
            expected.add((_HTTP_STATUS[status], status, code))
        told = {(each.http_status, each.status, each.code) for each in answers if each.http_status != 202}
        self.wrong += [f"told {each}, is {expected}" for each in told if each not in expected]
        if len(told) > 1:
            self.wrong.append(f"told {told}: not the same each time")


def live(move: Move, stored: Stored, commands: Iterable[tuple[Command, Decided]], now: datetime) -> Life:
    """Return the transfer's life up to `now`, when all is at rest."""
    life = Life(move, stored, is_over=not move.hold_seconds or stored.status in ("refused", "blocked"))
    if not move.hold_seconds and stored.posted_index is not None:
        life.post(stored.transfer_id, stored.posted_index, move.amount_minor)
        life.captured_minor = move.amount_minor
    for command, decided in sorted(commands, key=lambda pair: pair[1].journal_index or -1):
        life.take(command, decided)
    life.end(now)
    return life
