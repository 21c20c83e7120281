"""One run of the engine: the books it changes, and what it has decided so far."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeAlias

# tidy: allow impure-value-code: a struct is made in a tenth of a named tuple's time, once a transfer
import msgspec

from services.ledger.domain.account import Account, AccountStatus
from services.ledger.domain.books import Books
from services.ledger.domain.commands import HoldResolved, Leg, ReverseTransfer, Screening, Source, TransferScreened
from services.ledger.domain.fees import Fee, FeeSchedule
from services.ledger.domain.refuse_transfer import Refusal
from services.ledger.domain.transfer import NO_FACTS, UNDECIDED, Provenance, Settlement, Transfer, TransferStatus

RecordKind = Literal["posted", "held", "captured", "reversed", "refused", "blocked", "voided"]
STATUS_OF: Final[Mapping[RecordKind, TransferStatus]] = {
    "posted": "posted",
    "held": "held",
    "captured": "held",
    "reversed": "posted",
    "refused": "refused",
    "blocked": "blocked",
    "voided": "voided",
}
"""What a record says has happened → the state its transfer is in then."""


class CommandAnswer(NamedTuple):
    """What became of a command about something that was there already; `code` and `facts` say why it was refused."""

    command_id: str
    kind: str
    subject_id: str
    status: Literal["done", "refused"]
    code: str
    facts: Mapping[str, int | str]
    journal_index: int
    changed_at: str


class AccountAnswer(NamedTuple):
    """What an account may do from the record at `journal_index` on."""

    account_id: str
    status: AccountStatus
    minimum_minor: int
    maximum_minor: int
    journal_index: int
    changed_at: str


class FeeAnswer(NamedTuple):
    """The schedule in force from the record at `journal_index` on."""

    schedule: FeeSchedule
    actor_id: str
    journal_index: int
    changed_at: str


Answer: TypeAlias = Transfer | CommandAnswer | AccountAnswer
"""What is said to the bus."""


class Change(msgspec.Struct, frozen=True, gc=False):
    """One record of the journal: what changed, by whose word, and what moved. `kind` is the record's.

    `legs` is what was posted, reserved or asked for, as the kind says; `fees` what was withheld from those legs, by
    that version of the schedule. `provenance` is the decision that a reversal inherits.
    """

    kind: str
    state: Answer | FeeAnswer
    source: Source
    legs: Sequence[Leg]
    fees: Sequence[Fee] = ()
    fee_schedule: int = 0
    provenance: Provenance = UNDECIDED


class Reversal(NamedTuple):
    """A line of a transfer's history of reversals."""

    reversal_id: str
    transfer_id: str
    command: ReverseTransfer
    amounts_minor: tuple[int, ...]
    journal_index: int


@dataclass(slots=True)
class Decisions:
    """What one run decided.

    `answers`: what is to be said about each command, in their order. `changes`: one for each new record, in journal
    order. `inserted` and `updated`: transfer_id → its last state of this run; `settled`: those whose settlement is new
    or changed. `limited`: accounts whose state or limits changed.
    """

    books: Books
    answers: list[Answer] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    inserted: dict[str, Transfer] = field(default_factory=dict)
    updated: dict[str, Transfer] = field(default_factory=dict)
    settled: dict[str, Transfer] = field(default_factory=dict)
    reversals: list[Reversal] = field(default_factory=list)
    commands: list[CommandAnswer] = field(default_factory=list)
    limited: set[str] = field(default_factory=set)
    published: FeeAnswer | None = None
    has_words: bool = False
    """Whether any command was a caller's or staff's word about what was there already."""

    @property
    def only_inserts(self) -> bool:
        """Whether there is nothing but new transfers without a settlement: what nearly every batch is made of."""
        return not (self.updated or self.settled or self.commands or self.reversals or self.limited or self.published)


class Run:
    """What the parts of the engine share: they read and change it in the order of the commands."""

    __slots__ = ("books", "decisions", "done", "fees", "index", "known", "now", "schedules")

    def __init__(
        self,
        accounts: Mapping[str, Account],
        known: Mapping[str, Transfer],
        *,
        first_index: int,
        now: str,
        done: Mapping[str, CommandAnswer],
        schedules: Mapping[int, FeeSchedule],
    ) -> None:
        """Begin with the accounts and transfers as they were read; the newest schedule is in force."""
        self.books = Books(accounts)
        self.decisions = Decisions(self.books)
        self.known = dict(known)
        self.done = dict(done)
        self.schedules = schedules
        self.fees = schedules[max(schedules)]
        self.index = first_index
        self.now = now

    def record_first(
        self,
        source: Screening,
        status: TransferStatus,
        *,
        refusal: Refusal | None = None,
        reasons: tuple[str, ...] = (),
        settlement: Settlement | None = None,
        fees: Sequence[Fee] = (),
    ) -> None:
        """Record the first state of a screened transfer."""
        command = source.command
        code, facts = refusal or ("", NO_FACTS)
        transfer = Transfer(
            command.transfer_id,
            command.kind,
            status,
            1,
            code,
            reasons,
            facts,
            command.legs,
            self.index,
            self.now,
            settlement,
        )
        for fee in fees:
            transfer.fee_minor += fee.amount_minor
        decisions = self.decisions
        decisions.answers.append(transfer)
        fee_schedule = self.fees.version if status in {"posted", "held"} else 0
        decisions.changes.append(Change("transfer." + status, transfer, source, command.legs, fees, fee_schedule))
        decisions.inserted[transfer.transfer_id] = self.known[transfer.transfer_id] = transfer
        if settlement is not None:
            decisions.settled[transfer.transfer_id] = transfer
        self.index += 1

    def record_next(
        self,
        before: Transfer,
        source: Source,
        kind: RecordKind,
        *,
        settlement: Settlement | None,
        refusal: Refusal | None = None,
        reasons: tuple[str, ...] = (),
        legs: Sequence[Leg] = (),
        fees: Sequence[Fee] = (),
    ) -> None:
        """Record a later state of a transfer; `legs` and `fees` are what this record moves, or gives back."""
        code, facts = refusal or ("", NO_FACTS)
        status = STATUS_OF[kind]
        fee_schedule = 0 if settlement is None else settlement.fee_schedule
        transfer = Transfer(
            before.transfer_id,
            before.kind,
            status,
            before.version + 1,
            code,
            reasons,
            facts,
            before.legs,
            self.index,
            self.now,
            settlement,
            before.reverses,
            before.fee_minor if settlement is None else settlement.fee_minor,
        )
        self.keep(transfer, Change("transfer." + kind, transfer, source, legs, fees, fee_schedule))

    def keep(self, transfer: Transfer, change: Change) -> None:
        """Take a transfer's new state, which is no first state of a screened one, as the record at `index`."""
        decisions = self.decisions
        decisions.answers.append(transfer)
        decisions.changes.append(change)
        self.known[transfer.transfer_id] = transfer
        if transfer.version == 1 or transfer.transfer_id in decisions.inserted:
            decisions.inserted[transfer.transfer_id] = transfer
        else:
            decisions.updated[transfer.transfer_id] = transfer
        if transfer.settlement is not None:
            decisions.settled[transfer.transfer_id] = transfer
        self.index += 1

    def answer_command(
        self,
        command_id: str,
        kind: str,
        subject_id: str,
        *,
        index: int,
        refusal: Refusal | None = None,
        done: Mapping[str, int | str] = NO_FACTS,
    ) -> CommandAnswer:
        """Note what became of a command: why it was refused, or facts about what was `done`.

        The record at `index` proves it.
        """
        code, facts = refusal or ("", done)
        status: Literal["done", "refused"] = "done" if refusal is None else "refused"
        answer = CommandAnswer(command_id, kind, subject_id, status, code, facts, index, self.now)
        self.done[command_id] = answer
        self.decisions.answers.append(answer)
        self.decisions.commands.append(answer)
        return answer

    def refuse_command(self, source: Source, command_id: str, kind: str, subject_id: str, refusal: Refusal) -> None:
        """Record that a command was refused; nothing else changed."""
        answer = self.answer_command(command_id, kind, subject_id, index=self.index, refusal=refusal)
        self.decisions.changes.append(Change("command.refused", answer, source, ()))
        self.index += 1

    def schedule_of(self, settlement: Settlement) -> FeeSchedule:
        """Return the fees of the day a transfer was held."""
        return self.schedules[settlement.fee_schedule]

    def settlement_of(self, transfer: Transfer) -> Settlement | None:
        """Return how far the transfer is settled; None unless it was held or posted."""
        if transfer.settlement is not None or transfer.status != "posted":
            return transfer.settlement
        # Posted by this very run: what was read has its settlement.
        change = next(change for change in self.decisions.changes if change.state is transfer)
        return posted_at_once(
            change.legs,
            index=transfer.journal_index,
            fee_schedule=change.fee_schedule,
            fees=change.fees,
            provenance=provenance_of(change.source),
        )

    def move(self, transfer_id: str, legs: Iterable[Leg], fees: Sequence[Fee]) -> None:
        """Move legs that nothing forbids any more, for the record at `index`."""
        books = self.books
        for position, leg in enumerate(legs):
            if not leg.amount_minor:
                continue
            if not fees:
                books.move(transfer_id, self.index, leg)
            else:
                own = [fee for fee in fees if fee.leg == position]
                books.move_with_fees(transfer_id, self.index, leg, own)


def posted_at_once(
    legs: Sequence[Leg], *, index: int, fee_schedule: int, fees: Sequence[Fee], provenance: Provenance
) -> Settlement:
    """Return the settlement of a transfer that never was held, by its record at `index`."""
    return Settlement(
        legs_index=index,
        resolver="",
        expires_at="",
        fee_schedule=fee_schedule,
        captured_minor=tuple(leg.amount_minor for leg in legs),
        reversed_minor=(0,) * len(legs),
        withheld=tuple(fees),
        returned=(),
        provenance=provenance,
    )


def provenance_of(source: Source) -> Provenance:
    """Return the decision that later states of this transfer inherit."""
    match source:
        case TransferScreened():
            return Provenance(source.decision_id, source.ruleset, source.verdict)
        case HoldResolved():
            return Provenance(source.decision_id, source.ruleset, source.resolution)
        case _:
            return UNDECIDED
