"""Move a posted transfer's money back. The reversal is a transfer of its own, with a receipt of its own.

One that fraud lets pass (`block_command.py`) is refused in this order:

    1. transfer_not_found         there is no such transfer
    2. transfer_not_reversible    it is not posted, or is a reversal itself
    3. amounts_by_leg             not as many amounts as the transfer has legs, or all of them zero
    4. reversal_exceeds_transfer  over all reversals a leg would give back more than it moved; nothing is left, too
    5. account_closed, account_suspended, account_frozen   as for a transfer the other way, of the legs that move
    6. insufficient_funds         the payee, or the account that would give fees back, has less available
    7. balance_overflow, balance_limit_exceeded   of the payer
"""

from collections.abc import Sequence
from dataclasses import replace

from services.ledger.domain.commands import Leg, ReverseTransfer
from services.ledger.domain.end_hold import replace_amount
from services.ledger.domain.fees import Fee, given_back
from services.ledger.domain.refuse_transfer import (
    Refusal,
    insufficient_funds,
    refuse_balance,
    refuse_fees,
    refuse_states,
)
from services.ledger.domain.run import Change, Reversal, Run
from services.ledger.domain.transfer import NO_FACTS, UNDECIDED, Provenance, Settlement, Transfer

REVERSAL = "reversal"


def reverse_transfer(run: Run, command: ReverseTransfer) -> None:
    """Give back what the command names, or all that is left; the command's id is the reversal's."""
    if _is_answered(run, command):
        return
    original = run.known.get(command.transfer_id)
    if original is None:
        _record_reversal(run, command, (), refusal=Refusal("transfer_not_found"))
        return
    settlement = run.settlement_of(original)
    if original.status != "posted" or original.kind == REVERSAL or settlement is None:
        # Not transfer_status: in the answer that is the reversal's own, which is refused.
        facts = {"original_status": original.status, "kind": original.kind}
        _record_reversal(run, command, (), refusal=Refusal("transfer_not_reversible", facts))
        return
    left_minor = _left(settlement)
    amounts_minor = command.amounts_minor or left_minor
    refusal = _refuse_amounts(command.amounts_minor, left_minor)
    if refusal is not None:
        _record_reversal(run, command, (), refusal=refusal)
        return
    legs = [_backwards(leg, minor) for leg, minor in zip(original.legs, amounts_minor, strict=True)]
    reversed_minor = tuple(map(sum, zip(settlement.reversed_minor, amounts_minor, strict=True)))
    fees: tuple[Fee, ...] = ()
    if command.with_fees:
        fees = given_back(
            settlement.withheld,
            moved_minor=settlement.captured_minor,
            before_minor=settlement.reversed_minor,
            after_minor=reversed_minor,
        )
    refusal = _move_back(run, command.command_id, legs, fees)
    _record_reversal(run, command, legs, amounts_minor, fees=fees, refusal=refusal, provenance=settlement.provenance)
    if refusal is None:
        after = replace(settlement, reversed_minor=reversed_minor, returned=(*settlement.returned, *fees))
        reversal = Reversal(command.command_id, original.transfer_id, command, tuple(amounts_minor), run.index - 1)
        run.decisions.reversals.append(reversal)
        run.record_next(original, command, "reversed", settlement=after)


def refuse_reversal(run: Run, command: ReverseTransfer, refusal: Refusal) -> None:
    """Record that nothing moves, for a reason that needs no look at the transfer; a known one is answered again."""
    if not _is_answered(run, command):
        _record_reversal(run, command, (), refusal=refusal)


def _is_answered(run: Run, command: ReverseTransfer) -> bool:
    known = run.known.get(command.command_id)
    if known is not None:
        run.decisions.answers.append(known)
    return known is not None


def _left(settlement: Settlement) -> tuple[int, ...]:
    pairs = zip(settlement.captured_minor, settlement.reversed_minor, strict=True)
    return tuple(moved_minor - given_minor for moved_minor, given_minor in pairs)


def _refuse_amounts(asked_minor: Sequence[int], left_minor: Sequence[int]) -> Refusal | None:
    """Return what is wrong with the amounts by leg; none named asks for all that is left."""
    if not asked_minor:
        return None if any(left_minor) else Refusal("reversal_exceeds_transfer", {"remaining_minor": 0})
    if len(asked_minor) != len(left_minor) or not any(asked_minor):
        return Refusal("amounts_by_leg", {"legs": len(left_minor)})
    for asked, left in zip(asked_minor, left_minor, strict=True):
        if asked > left:
            return Refusal("reversal_exceeds_transfer", {"requested_minor": asked, "remaining_minor": left})
    return None


def _move_back(run: Run, reversal_id: str, legs: Sequence[Leg], fees: Sequence[Fee]) -> Refusal | None:
    """Move all of it, or nothing."""
    books = run.books
    refusal = refuse_states([leg for leg in legs if leg.amount_minor], books)
    if refusal is not None:
        return refusal
    savepoint = books.savepoint(legs, fees)
    for position, leg in enumerate(legs):
        own = [fee for fee in fees if fee.leg == position]
        refusal = _refuse_leg(run, leg, own)
        if refusal is not None:
            books.roll_back(savepoint)
            return refusal
        if leg.amount_minor:
            books.move_with_fees(reversal_id, run.index, leg, own)
    return None


def _refuse_leg(run: Run, leg: Leg, fees: Sequence[Fee]) -> Refusal | None:
    payee, payer = run.books.look(leg.source_account_id), run.books.look(leg.destination_account_id)
    needed_minor = leg.amount_minor + sum(fee.amount_minor for fee in fees)
    if payee.available_minor < needed_minor:
        return insufficient_funds(needed_minor, payee.available_minor)
    refusal = refuse_fees(fees, run.books)
    return refusal or refuse_balance(payer, payer.posted_minor + payer.pending_in_minor + leg.amount_minor)


def _record_reversal(
    run: Run,
    command: ReverseTransfer,
    legs: Sequence[Leg],
    amounts_minor: Sequence[int] = (),
    *,
    refusal: Refusal | None,
    fees: Sequence[Fee] = (),
    provenance: Provenance = UNDECIDED,
) -> None:
    """Record the reversal's only state; `amounts_minor` is by leg of the original."""
    code, facts = refusal or ("", NO_FACTS)
    status = "posted" if refusal is None else "refused"
    transfer = Transfer(
        command.command_id,
        REVERSAL,
        "posted" if refusal is None else "refused",
        1,
        code,
        (),
        facts,
        tuple(leg for leg in legs if leg.amount_minor),
        run.index,
        run.now,
        reverses=command.transfer_id,
        gave_back_minor=tuple(amounts_minor) if refusal is None else (),
        fee_minor=0 if refusal is not None else sum(fee.amount_minor for fee in fees),
    )
    moved = () if refusal is not None else fees
    run.keep(transfer, Change(f"transfer.{status}", transfer, command, legs, moved, provenance=provenance))


def _backwards(leg: Leg, amount_minor: int) -> Leg:
    back = replace_amount(leg, amount_minor)
    return Leg(back.destination_account_id, back.source_account_id, amount_minor, back.asset, "")
