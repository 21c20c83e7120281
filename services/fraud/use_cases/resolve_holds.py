"""End holds whose payees' KYC is settled: on they go, or back goes the slot."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

import msgspec

from libs.common.clock import to_rfc3339
from libs.common.contracts.fraud import HoldReason, HoldResolved
from libs.common.contracts.topics import SCREENINGS
from libs.common.contracts.transfers import TransferCommand
from libs.common.ids import new_id
from services.fraud.domain.holds import KYC_PENDING, PAYEE_REJECTED_CODE, Standing, settle_kyc
from services.fraud.domain.limits import Breach, LimitProfile, find_breach
from services.fraud.domain.moments import from_us, to_us
from services.fraud.domain.payer import Payer
from services.fraud.domain.screening import WITHOUT_RULES
from services.fraud.domain.window import DAY_US
from services.fraud.metrics import HOLDS_RESOLVED
from services.fraud.store.holds import OpenHold, ResolvedHold, save_resolutions, stop_waiting
from services.fraud.store.payer_cache import PayerCache
from services.fraud.store.slots import LateSlot, take_late_slots
from services.fraud.store.unit_of_work import Transaction
from services.fraud.store.users import advance_payers, load_customers, load_payers, load_standings
from services.fraud.use_cases.read_policy import PolicyInForce
from services.fraud.use_cases.release_limits import release_limits

_encode: Final = msgspec.json.Encoder().encode
_read_command: Final = msgspec.json.Decoder(TransferCommand).decode
_UNHEARD_OF: Final = Standing(status="none", tier=0)


@dataclass(frozen=True, slots=True)
class Ending:
    """What is decided about a hold. `code` is empty for a release; `remaining` is what it waits for still."""

    hold: OpenHold
    resolution: Literal["release", "reject"]
    code: str
    remaining: tuple[HoldReason, ...]


@dataclass(slots=True)
class Resolved:
    """What one call ended, and the payers whose memory moved: forget them if the transaction fails."""

    endings: list[Ending] = field(default_factory=list)
    moved: set[str] = field(default_factory=set)


class ResolveHolds:
    """Ends locked holds inside the caller's transaction.

    Idempotent by: the hold's status, which the caller has locked. Locks: the payers' rows.
    Emits: HoldResolved. Raises: Unavailable.
    """

    def __init__(self, cache: PayerCache, policy: PolicyInForce) -> None:
        """Share the cache with whatever screens in this process."""
        self._cache = cache
        self._policy = policy

    async def __call__(
        self, transaction: Transaction, holds: Sequence[OpenHold], now: datetime, resolved: Resolved
    ) -> None:
        """Release or reject those whose payees' KYC is settled; leave the others waiting. Fills `resolved`."""
        payees = {user_id for hold in holds for user_id in hold.payees}
        standings = await load_standings(transaction.connection, payees)
        settled = [(hold, settle_kyc([standings.get(payee, _UNHEARD_OF) for payee in hold.payees])) for hold in holds]
        released = [_released(hold) for hold, outcome in settled if outcome == "release"]
        rejected = [_rejected(hold, PAYEE_REJECTED_CODE) for hold, outcome in settled if outcome == "reject"]
        resolved.endings = [*await self._check_limits_again(transaction, released, now, resolved), *rejected]
        if not resolved.endings:
            return
        gone = {ending.hold.transfer_id: ending.code for ending in resolved.endings if ending.resolution == "reject"}
        if gone:
            resolved.moved.update(await release_limits(transaction, self._cache, gone, now))
        await self._send(transaction, resolved.endings, now)

    async def _check_limits_again(
        self, transaction: Transaction, released: list[Ending], now: datetime, resolved: Resolved
    ) -> list[Ending]:
        """Let releases pass whose slot still counts; the others need a new one, taken now, or end here."""
        late = [ending for ending in released if _needs_new_slot(ending, now)]
        if not late:
            return released
        policy = await self._policy.read(transaction.connection)
        user_ids = sorted({ending.hold.user_id for ending in late})
        resolved.moved.update(user_ids)
        customers = await load_customers(transaction.connection, user_ids)
        payers = await load_payers(transaction.connection, self._cache, user_ids, customers, now)
        endings = [ending for ending in released if not _needs_new_slot(ending, now)]
        slots: list[LateSlot] = []
        for ending in late:
            payer = payers[ending.hold.user_id]
            # A tier that went down meanwhile is for new transfers: this one was asked for before.
            tier = max(payer.kyc_tier, ending.hold.payer_tier)
            limits = policy.limits_of(payer.profile, tier, payer.personal)
            taken = _take_slot(payer, ending.hold, limits, now)
            if isinstance(taken, LateSlot):
                slots.append(taken)
                endings.append(ending)
            else:
                endings.append(_rejected(ending.hold, taken.code))
        await advance_payers(transaction.connection, payers.values(), now)
        if slots:
            await take_late_slots(transaction.connection, slots)
        return endings

    async def _send(self, transaction: Transaction, endings: Sequence[Ending], now: datetime) -> None:
        resolved_at = to_rfc3339(now)
        rows = []
        for ending in endings:
            hold = ending.hold
            message = HoldResolved(
                resolution_id=new_id(),
                decision_id=hold.decision_id,
                resolution=ending.resolution,
                reason="kyc_pending",
                remaining=ending.remaining,
                code=ending.code,
                ruleset=WITHOUT_RULES,
                resolved_at=resolved_at,
                command=_read_command(hold.command),
            )
            transaction.emit(SCREENINGS, hold.transfer_id, message)
            rows.append(ResolvedHold(hold.transfer_id, _status(ending), ending.remaining, _encode(message)))
        await save_resolutions(transaction.connection, rows, now)
        await stop_waiting(transaction.connection, [ending.hold for ending in endings])


def count_endings(resolved: Resolved) -> None:
    """Count what was ended, after the commit."""
    for ending in resolved.endings:
        HOLDS_RESOLVED.labels(ending.resolution).inc()


def _needs_new_slot(ending: Ending, now: datetime) -> bool:
    """Tell whether this release would post now, though its first slot has left the day's window."""
    return not ending.remaining and to_us(ending.hold.decided_at) <= to_us(now) - DAY_US


def _take_slot(payer: Payer, hold: OpenHold, limits: LimitProfile, now: datetime) -> LateSlot | Breach:
    """Use a slot of the payer's limits now, or return the limit that forbids it."""
    moment_us = payer.moment(to_us(now))
    breach = find_breach(limits, payer.window, usd_minor=hold.usd_minor, now_us=moment_us)
    if breach is not None:
        return breach
    payer.window.take(moment_us, hold.usd_minor)
    return LateSlot(hold.transfer_id, payer.user_id, hold.usd_minor, from_us(moment_us))


def _released(hold: OpenHold) -> Ending:
    remaining = tuple(reason for reason in hold.reasons if reason != KYC_PENDING)
    return Ending(hold=hold, resolution="release", code="", remaining=remaining)


def _rejected(hold: OpenHold, code: str) -> Ending:
    return Ending(hold=hold, resolution="reject", code=code, remaining=())


def _status(ending: Ending) -> Literal["open", "released", "rejected"]:
    if ending.resolution == "reject":
        return "rejected"
    return "open" if ending.remaining else "released"
