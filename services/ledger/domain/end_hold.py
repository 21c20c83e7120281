"""A caller's hold: captured in part or in full, voided, or at its end.

A capture that fraud lets pass (`block_command.py`) is refused in this order:

    1. transfer_not_found   there is no such transfer
    2. transfer_not_held    it is not held, or not any more: voided, expired, rejected, wholly captured
    3. held_by_review       fraud holds it: nobody releases his own review
    4. hold_expired         its time is up, even if the clock has not ended it yet
    5. amounts_by_leg       not as many amounts as the transfer has legs, or all of them zero
    6. capture_exceeds_hold a leg has less left than it should move
    7. account_closed, account_suspended, account_frozen   as for a transfer, of the legs that move
    8. balance_overflow, balance_limit_exceeded            of an account that gets a fee

A void by 1 to 3. Neither asks who sent it: the gateway has.
"""

from collections.abc import Sequence
from dataclasses import replace

from services.ledger.domain.commands import CaptureTransfer, ExpireHold, LedgerCommand, Leg, VoidTransfer
from services.ledger.domain.fees import beyond
from services.ledger.domain.refuse_transfer import Refusal, refuse_fees, refuse_states
from services.ledger.domain.run import Run
from services.ledger.domain.transfer import Settlement, Transfer

CAPTURE = "capture"
VOID = "void"


def capture_transfer(run: Run, command: CaptureTransfer) -> None:
    """Post what the command names, or all that is left; end the hold if this was the last."""
    if is_answered(run, command.command_id):
        return
    held = _open_hold(run, command.transfer_id)
    refusal = held if isinstance(held, Refusal) else _refuse_capture(run, *held, command.amounts_minor)
    if refusal is None and not isinstance(held, Refusal):
        refusal = _capture(run, *held, command)
    if refusal is not None:
        run.refuse_command(command, command.command_id, CAPTURE, command.transfer_id, refusal)


def void_transfer(run: Run, command: VoidTransfer) -> None:
    """Give back what the hold still reserves."""
    if is_answered(run, command.command_id):
        return
    held = _open_hold(run, command.transfer_id)
    if isinstance(held, Refusal):
        run.refuse_command(command, command.command_id, VOID, command.transfer_id, held)
        return
    run.answer_command(command.command_id, VOID, command.transfer_id, index=run.index)
    _end(run, *held, command, Refusal("voided_by_caller"))


def expire_hold(run: Run, command: ExpireHold) -> None:
    """End a hold whose time is up; one that has ended, or has time left, stays as it is."""
    held = _open_hold(run, command.transfer_id)
    if not isinstance(held, Refusal) and run.now >= held[1].expires_at:
        _end(run, *held, command, Refusal("hold_expired"))


def is_answered(run: Run, command_id: str) -> bool:
    """Tell whether the command was decided before; it is answered again then."""
    answer = run.done.get(command_id)
    if answer is not None:
        run.decisions.answers.append(answer)
    return answer is not None


def _open_hold(run: Run, transfer_id: str) -> tuple[Transfer, Settlement] | Refusal:
    """Return a hold that its caller may end, or why he may not."""
    transfer = run.known.get(transfer_id)
    if transfer is None:
        return Refusal("transfer_not_found")
    settlement = transfer.settlement
    if transfer.status != "held" or settlement is None:
        return Refusal("transfer_not_held", {"transfer_status": transfer.status})
    if settlement.resolver != "caller":
        return Refusal("held_by_review")
    return transfer, settlement


def _refuse_capture(run: Run, held: Transfer, settlement: Settlement, amounts_minor: Sequence[int]) -> Refusal | None:
    if run.now >= settlement.expires_at:
        return Refusal("hold_expired", {"expires_at": settlement.expires_at})
    remaining_minor = held.remaining_minor(settlement)
    if amounts_minor:
        if len(amounts_minor) != len(remaining_minor) or not any(amounts_minor):
            return Refusal("amounts_by_leg", {"legs": len(remaining_minor)})
        for asked_minor, left_minor in zip(amounts_minor, remaining_minor, strict=True):
            if asked_minor > left_minor:
                return Refusal("capture_exceeds_hold", {"requested_minor": asked_minor, "remaining_minor": left_minor})
    return refuse_states(_with_amounts(held.legs, amounts_minor or remaining_minor), run.books)


def _capture(run: Run, held: Transfer, settlement: Settlement, command: CaptureTransfer) -> Refusal | None:
    """Move the amounts. Their fees are those of all captures so far less what was withheld: parts cost no more."""
    remaining_minor = held.remaining_minor(settlement)
    amounts_minor = command.amounts_minor or remaining_minor
    captured_minor = tuple(map(sum, zip(settlement.captured_minor, amounts_minor, strict=True)))
    whole = [replace_amount(leg, minor) for leg, minor in zip(held.legs, captured_minor, strict=True)]
    moving = [replace_amount(leg, minor) for leg, minor in zip(held.legs, amounts_minor, strict=True)]
    fees = beyond(run.schedule_of(settlement).fees_of(held.kind, whole), settlement.withheld, moved_minor=amounts_minor)
    refusal = refuse_fees(fees, run.books)
    if refusal is not None:
        return refusal
    is_last = command.is_final or amounts_minor == remaining_minor
    for leg in _with_amounts(held.legs, remaining_minor) if is_last else [leg for leg in moving if leg.amount_minor]:
        run.books.reserve(leg, sign=-1)
    run.move(held.transfer_id, moving, fees)
    after = replace(settlement, captured_minor=captured_minor, withheld=(*settlement.withheld, *fees))
    run.answer_command(command.command_id, CAPTURE, held.transfer_id, index=run.index)
    run.record_next(
        held,
        command,
        "posted" if is_last else "captured",
        settlement=after,
        legs=moving,
        fees=fees,
    )
    return None


def _end(run: Run, held: Transfer, settlement: Settlement, source: LedgerCommand, refusal: Refusal) -> None:
    """Give the rest back. What was captured stays posted; without a capture the transfer is voided."""
    rest = _with_amounts(held.legs, held.remaining_minor(settlement))
    for leg in rest:
        run.books.reserve(leg, sign=-1)
    if any(settlement.captured_minor):
        run.record_next(held, source, "posted", settlement=settlement)
    else:
        run.record_next(
            held,
            source,
            "voided",
            settlement=settlement,
            refusal=refusal,
            legs=rest,
        )


def _with_amounts(legs: Sequence[Leg], amounts_minor: Sequence[int]) -> list[Leg]:
    """Return the legs with these amounts, without those of nothing."""
    return [replace_amount(leg, minor) for leg, minor in zip(legs, amounts_minor, strict=True) if minor]


def replace_amount(leg: Leg, amount_minor: int) -> Leg:
    """Return the same movement of another amount."""
    return Leg(leg.source_account_id, leg.destination_account_id, amount_minor, leg.asset, leg.destination_owner_id)
