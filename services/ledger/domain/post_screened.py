"""Fraud's word about transfers: post them, hold them, write the block down; alone or a batch together."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from services.ledger.domain.books import Books
from services.ledger.domain.commands import HoldResolved, Leg, Screening, TransferBatchScreened, TransferScreened
from services.ledger.domain.fees import Fee
from services.ledger.domain.refuse_transfer import Refusal, refuse_amount, refuse_fees, refuse_parties, refuse_states
from services.ledger.domain.run import Run, provenance_of
from services.ledger.domain.transfer import Settlement, Transfer

_BATCH_REFUSED = Refusal("batch_refused")


def post_screened(run: Run, screening: TransferScreened) -> None:
    """Post, hold or write down one screened transfer."""
    known = run.known.get(screening.command.transfer_id)
    if known is not None:
        run.decisions.answers.append(known)
    elif screening.verdict == "approve":
        _take(run, screening)
    elif screening.verdict == "hold":
        _hold(run, screening, screening.reasons)
    else:
        run.record_first(screening, "blocked", refusal=Refusal(screening.code, screening.facts))


def post_batch(run: Run, batch: TransferBatchScreened) -> None:
    """Post every transfer of the batch, or refuse every one: the first that cannot be with its own code."""
    unknown = {member.command.transfer_id for member in batch.screenings} - run.known.keys()
    # A batch is committed whole, so a part of it is known only if an id was used before: then it cannot be whole.
    whole = len(unknown) == len(batch.screenings)
    faults = _refuse_together(run, batch.screenings) if whole else {}
    for position, member in enumerate(batch.screenings):
        known = run.known.get(member.command.transfer_id)
        if known is not None:
            run.decisions.answers.append(known)
        elif whole and not faults:
            fees = run.fees.fees_of(member.command.kind, member.command.legs)
            run.move(member.command.transfer_id, member.command.legs, fees)
            run.record_first(member, "posted", fees=fees)
        elif member.verdict == "block":
            run.record_first(member, "blocked", refusal=Refusal(member.code, member.facts))
        else:
            run.record_first(member, "refused", refusal=faults.get(position, _BATCH_REFUSED))


def resolve_hold(run: Run, resolution: HoldResolved) -> None:
    """Take one reason from fraud's hold, or end it; settle a transfer whose hold has not come yet."""
    known = run.known.get(resolution.command.transfer_id)
    if known is None:
        _settle_before_hold(run, resolution)
        return
    settlement = known.settlement
    if known.status != "held" or settlement is None or settlement.resolver != "fraud":
        run.decisions.answers.append(known)
    elif resolution.resolution == "reject":
        _void(run, known, settlement, resolution, Refusal(resolution.code))
    else:
        # Both sides shrink: what fraud says remains, and what this ledger still waits for. The order in which
        # resolutions arrive then makes no difference.
        reasons = tuple(reason for reason in known.reasons if reason in resolution.remaining)
        if not reasons:
            _release(run, known, settlement, resolution)
        elif reasons == known.reasons:
            run.decisions.answers.append(known)
        else:
            run.record_next(known, resolution, "held", settlement=settlement, reasons=reasons)


def _settle_before_hold(run: Run, resolution: HoldResolved) -> None:
    if resolution.resolution == "reject":
        run.record_first(resolution, "voided", refusal=Refusal(resolution.code))
    elif resolution.remaining:
        _hold(run, resolution, resolution.remaining)
    else:
        _take(run, resolution)


def _take(run: Run, source: Screening) -> None:
    """Post what was approved, or hold it for the caller who asked for that."""
    if source.command.hold_seconds:
        _hold(run, source, ())
    else:
        _post(run, source)


def _post(run: Run, source: Screening) -> None:
    """Move all legs in their order, or none."""
    command = source.command
    refusal = refuse_parties(command, run.books)
    if refusal is not None:
        run.record_first(source, "refused", refusal=refusal)
        return
    legs, books = command.legs, run.books
    fees = run.fees.fees_of(command.kind, legs)
    if len(legs) == 1:
        refusal = _refuse_leg(legs[0], fees, books)
        if refusal is None:
            _move(run, command.transfer_id, legs[0], fees)
    else:
        refusal = _move_or_none(run, command.transfer_id, source, fees)
    if refusal is None:
        run.record_first(source, "posted", fees=fees)
    else:
        run.record_first(source, "refused", refusal=refusal)


def _move_or_none(run: Run, transfer_id: str, source: Screening, fees: Sequence[Fee]) -> Refusal | None:
    books, legs = run.books, source.command.legs
    savepoint = books.savepoint(legs, fees)
    for position, leg in enumerate(legs):
        own = [fee for fee in fees if fee.leg == position]
        refusal = _refuse_leg(leg, own, books)
        if refusal is not None:
            books.roll_back(savepoint)
            return refusal
        _move(run, transfer_id, leg, own)
    return None


def _refuse_leg(leg: Leg, fees: Sequence[Fee], books: Books) -> Refusal | None:
    return refuse_amount(leg, books) or (refuse_fees(fees, books) if fees else None)


def _move(run: Run, transfer_id: str, leg: Leg, fees: Sequence[Fee]) -> None:
    if fees:
        run.books.move_with_fees(transfer_id, run.index, leg, fees)
    else:
        run.books.move(transfer_id, run.index, leg)


def _hold(run: Run, source: Screening, reasons: tuple[str, ...]) -> None:
    """Reserve all legs, or none. A leg cannot be paid with what another leg of the same hold would bring."""
    command, books = source.command, run.books
    refusal = refuse_parties(command, books)
    if refusal is None:
        savepoint = books.savepoint(command.legs)
        for leg in command.legs:
            refusal = refuse_amount(leg, books)
            if refusal is not None:
                books.roll_back(savepoint)
                break
            books.reserve(leg, sign=1)
    if refusal is not None:
        run.record_first(source, "refused", refusal=refusal)
        return
    nothing = (0,) * len(command.legs)
    settlement = Settlement(
        legs_index=run.index,
        resolver="fraud" if reasons else "caller",
        expires_at="" if reasons else _expiry(run, source),
        fee_schedule=run.fees.version,
        captured_minor=nothing,
        reversed_minor=nothing,
        withheld=(),
        returned=(),
        provenance=provenance_of(source),
    )
    run.record_first(source, "held", reasons=reasons, settlement=settlement)


def _release(run: Run, held: Transfer, settlement: Settlement, resolution: HoldResolved) -> None:
    """Fraud waits for nothing any more: post the hold, or hand it to the caller who asked for one."""
    fees = run.schedule_of(settlement).fees_of(held.kind, held.legs)
    refusal = refuse_states(held.legs, run.books) or refuse_fees(fees, run.books)
    if refusal is not None:
        _void(run, held, settlement, resolution, refusal)
        return
    if resolution.command.hold_seconds:
        handed = replace(settlement, resolver="caller", expires_at=_expiry(run, resolution))
        run.record_next(held, resolution, "held", settlement=handed)
        return
    for leg in held.legs:
        run.books.reserve(leg, sign=-1)
    run.move(held.transfer_id, held.legs, fees)
    captured_minor = tuple(leg.amount_minor for leg in held.legs)
    posted = replace(settlement, captured_minor=captured_minor, withheld=fees)
    run.record_next(held, resolution, "posted", settlement=posted, legs=held.legs, fees=fees)


def _void(run: Run, held: Transfer, settlement: Settlement, resolution: HoldResolved, refusal: Refusal) -> None:
    for leg in held.legs:
        run.books.reserve(leg, sign=-1)
    run.record_next(held, resolution, "voided", settlement=settlement, refusal=refusal, legs=held.legs)


def _refuse_together(run: Run, members: Sequence[TransferScreened]) -> dict[int, Refusal]:
    """Try to move all of it, then take it back. Returns position → why, for the members that cannot be."""
    faults = {
        position: Refusal("hold_in_atomic_batch")
        if member.verdict == "hold" or (member.verdict == "approve" and member.command.hold_seconds)
        else Refusal(member.code, member.facts)
        for position, member in enumerate(members)
        if member.verdict != "approve" or member.command.hold_seconds
    }
    if faults:
        return faults
    books = run.books
    legs = [leg for member in members for leg in member.command.legs]
    fees = [fee for member in members for fee in run.fees.fees_of(member.command.kind, member.command.legs)]
    savepoint = books.savepoint(legs, fees)
    try:
        for position, member in enumerate(members):
            own = run.fees.fees_of(member.command.kind, member.command.legs)
            refusal = refuse_parties(member.command, books)
            refusal = refusal or _move_or_none(run, member.command.transfer_id, member, own)
            if refusal is not None:
                return {position: refusal}
    finally:
        books.roll_back(savepoint)
    return {}


def _expiry(run: Run, source: Screening) -> str:
    """Return when the hold ends, RFC 3339 UTC with microseconds as everywhere, so that times compare as text."""
    ends_at = datetime.fromisoformat(run.now) + timedelta(seconds=source.command.hold_seconds)
    return ends_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
