"""The ledger's decision: accounts as they are and commands in order in, what happens out. No I/O, no clock.

Every transfer in the commands gets exactly one answer. A transfer that was decided before, in an earlier run or
earlier in this one, is answered again with the state it has and moves nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from services.ledger.domain.account import Account
from services.ledger.domain.books import Books
from services.ledger.domain.commands import (
    Command,
    HoldResolved,
    Leg,
    Source,
    TransferBatchScreened,
    TransferCommand,
    TransferScreened,
)
from services.ledger.domain.refuse_transfer import Refusal, refuse_amount, refuse_parties, refuse_settlement
from services.ledger.domain.transfer import NO_FACTS, Transfer, TransferStatus

_BATCH_REFUSED = Refusal("batch_refused")


@dataclass(slots=True)
class Decisions:
    """What one run decided.

    `answers`: one state per transfer in the commands, in their order. `changes`: the new states in journal order,
    each with the message that caused it. `inserted` and `updated`: transfer_id → its last state of this run.
    """

    answers: list[Transfer]
    changes: list[tuple[Transfer, Source]]
    inserted: dict[str, Transfer]
    updated: dict[str, Transfer]
    books: Books


def decide(
    commands: Sequence[Command],
    *,
    accounts: Mapping[str, Account],
    known: Mapping[str, Transfer],
    first_index: int,
    now: str,
) -> Decisions:
    """Decide the commands in their order.

    `accounts` holds every account they name that exists, `known` every transfer of theirs that was decided before.
    `first_index` is the journal index of the first new state, `now` its RFC 3339 time.
    """
    run = _Run(accounts, known, first_index, now)
    for command in commands:
        if isinstance(command, TransferScreened):
            run.screened(command)
        elif isinstance(command, HoldResolved):
            run.resolved(command)
        else:
            run.batch_screened(command)
    return run.decisions


class _Run:
    """One run over the books."""

    __slots__ = ("_index", "_known", "_now", "books", "decisions")

    def __init__(
        self, accounts: Mapping[str, Account], known: Mapping[str, Transfer], first_index: int, now: str
    ) -> None:
        self.books = Books(accounts)
        self.decisions = Decisions([], [], {}, {}, self.books)
        self._known = dict(known)
        self._index = first_index
        self._now = now

    def screened(self, screening: TransferScreened) -> None:
        """Post, hold or write down one screened transfer."""
        known = self._known.get(screening.command.transfer_id)
        if known is not None:
            self.decisions.answers.append(known)
        elif screening.verdict == "approve":
            self._take(screening, self._move, "posted", ())
        elif screening.verdict == "hold":
            self._take(screening, self._reserve, "held", screening.reasons)
        else:
            self._change(screening, "blocked", code=screening.code, facts=screening.facts)

    def batch_screened(self, batch: TransferBatchScreened) -> None:
        """Post every transfer of the batch, or refuse every one: the first that cannot be with its own code."""
        unknown = [member for member in batch.screenings if member.command.transfer_id not in self._known]
        # A batch is committed whole, so a part of it is known only if an id was used before: then it cannot be whole.
        whole = len({member.command.transfer_id for member in unknown}) == len(batch.screenings)
        faults = self._post_together(batch.screenings) if whole else {}
        for position, member in enumerate(batch.screenings):
            known = self._known.get(member.command.transfer_id)
            if known is not None:
                self.decisions.answers.append(known)
            elif whole and not faults:
                self._change(member, "posted")
            elif member.verdict == "block":
                self._change(member, "blocked", code=member.code, facts=member.facts)
            else:
                code, facts = faults.get(position, _BATCH_REFUSED)
                self._change(member, "refused", code=code, facts=facts)

    def resolved(self, resolution: HoldResolved) -> None:
        """Take one reason from a hold, or end it; settle a transfer whose hold has not come yet."""
        known = self._known.get(resolution.command.transfer_id)
        if known is None:
            self._settle_before_hold(resolution)
        elif known.status != "held":
            self.decisions.answers.append(known)
        elif resolution.resolution == "reject":
            self._end_hold(known, resolution, Refusal(resolution.code))
        else:
            # Both sides shrink: what fraud says remains, and what this ledger still waits for. The order in which
            # resolutions arrive then makes no difference.
            reasons = tuple(reason for reason in known.reasons if reason in resolution.remaining)
            if not reasons:
                self._end_hold(known, resolution, refuse_settlement(known.legs, self.books.read))
            elif reasons == known.reasons:
                self.decisions.answers.append(known)
            else:
                self._change(resolution, "held", reasons=reasons, before=known)

    def _settle_before_hold(self, resolution: HoldResolved) -> None:
        if resolution.resolution == "reject":
            self._change(resolution, "voided", code=resolution.code)
        elif resolution.remaining:
            self._take(resolution, self._reserve, "held", resolution.remaining)
        else:
            self._take(resolution, self._move, "posted", ())

    def _take(
        self,
        source: Source,
        apply: Callable[[TransferCommand], Refusal | None],
        status: TransferStatus,
        reasons: tuple[str, ...],
    ) -> None:
        refusal = refuse_parties(source.command, self.books.read) or apply(source.command)
        if refusal is None:
            self._change(source, status, reasons=reasons)
        else:
            self._change(source, "refused", code=refusal.code, facts=refusal.facts)

    def _post_together(self, members: Sequence[TransferScreened]) -> dict[int, Refusal]:
        """Move all of it, or nothing. Returns position → why, for the members that cannot be."""
        faults = {
            position: Refusal("hold_in_atomic_batch" if member.verdict == "hold" else member.code, member.facts)
            for position, member in enumerate(members)
            if member.verdict != "approve"
        }
        if faults:
            return faults
        savepoint = self.books.savepoint(leg for member in members for leg in member.command.legs)
        for position, member in enumerate(members):
            refusal = refuse_parties(member.command, self.books.read) or self._move(member.command)
            if refusal is not None:
                self.books.roll_back(savepoint)
                return {position: refusal}
        return {}

    def _end_hold(self, held: Transfer, resolution: HoldResolved, refusal: Refusal | None) -> None:
        """Give the reservation back, then post the legs or void the transfer."""
        for leg in held.legs:
            self.books.reserve(leg, sign=-1)
        if refusal is not None:
            self._change(resolution, "voided", code=refusal.code, facts=refusal.facts, before=held)
            return
        for leg in held.legs:
            self.books.move(held.transfer_id, leg)
        self._change(resolution, "posted", before=held)

    def _move(self, command: TransferCommand) -> Refusal | None:
        """Move all legs in their order, or none."""
        books = self.books
        legs = command.legs
        savepoint = books.savepoint(legs) if len(legs) > 1 else None
        for leg in legs:
            refusal = refuse_amount(leg, books)
            if refusal is not None:
                if savepoint is not None:
                    books.roll_back(savepoint)
                return refusal
            books.move(command.transfer_id, leg)
        return None

    def _reserve(self, command: TransferCommand) -> Refusal | None:
        """Reserve all legs, or none. A leg cannot be paid with what another leg of the same hold would bring."""
        savepoint = self.books.savepoint(command.legs)
        for leg in command.legs:
            refusal = refuse_amount(leg, self.books)
            if refusal is not None:
                self.books.roll_back(savepoint)
                return refusal
            self.books.reserve(leg, sign=1)
        return None

    def _change(
        self,
        source: Source,
        status: TransferStatus,
        *,
        code: str = "",
        facts: Mapping[str, int | str] = NO_FACTS,
        reasons: tuple[str, ...] = (),
        before: Transfer | None = None,
    ) -> None:
        command = source.command
        transfer_id = command.transfer_id
        # A hold settles with the legs it reserved, even if a resolution were to carry others.
        legs: tuple[Leg, ...] = command.legs if before is None else before.legs
        version = 1 if before is None else before.version + 1
        transfer = Transfer(
            transfer_id, command.kind, status, version, code, reasons, facts, legs, self._index, self._now
        )
        self._index += 1
        decisions = self.decisions
        decisions.answers.append(transfer)
        decisions.changes.append((transfer, source))
        self._known[transfer_id] = transfer
        if before is None or transfer_id in decisions.inserted:
            decisions.inserted[transfer_id] = transfer
        else:
            decisions.updated[transfer_id] = transfer
