"""End holds by one settled reason: on they go once nothing is left, wait for the rest, or back goes the slot."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

import msgspec
import structlog

from libs.common.clock import to_rfc3339
from libs.common.contracts.fraud import HoldReason, HoldResolved
from libs.common.contracts.topics import SCREENINGS
from libs.common.contracts.transfers import TransferCommand
from libs.common.ids import new_id
from services.fraud.domain.holds import KYC_PENDING, REVIEW
from services.fraud.domain.limits import Breach, LimitProfile, find_breach
from services.fraud.domain.moments import from_us, to_us
from services.fraud.domain.payer import Payer
from services.fraud.domain.screening import BLOCKED_BY_LIST, WITHOUT_RULES
from services.fraud.domain.window import DAY_US
from services.fraud.metrics import HOLDS_RESOLVED
from services.fraud.store.holds import OpenHold, ResolvedHold, save_resolutions, stop_waiting
from services.fraud.store.payer_cache import PayerCache
from services.fraud.store.reviews import end_reviews
from services.fraud.store.slots import LateSlot, take_late_slots
from services.fraud.store.unit_of_work import Transaction
from services.fraud.store.users import advance_payers, load_customers, load_payers
from services.fraud.use_cases.decide_transfers import ask_lists
from services.fraud.use_cases.read_policy import PolicyInForce
from services.fraud.use_cases.read_screening_data import ScreeningInForce
from services.fraud.use_cases.release_limits import release_limits

log = structlog.get_logger()

_encode: Final = msgspec.json.Encoder().encode
_read_command: Final = msgspec.json.Decoder(TransferCommand).decode


@dataclass(frozen=True, slots=True)
class Ending:
    """What one settled `reason` does to a hold. `code` is empty for a release; `remaining` is what it waits for still.

    A hold ends when nothing remains: a rejection ends it whatever else it waited for. `denied_by` are the entries of
    lists that forbade a release.
    """

    hold: OpenHold
    resolution: Literal["release", "reject"]
    reason: HoldReason
    code: str
    remaining: tuple[HoldReason, ...]
    denied_by: tuple[str, ...] = ()


@dataclass(slots=True)
class Resolved:
    """What one call settled, and the payers whose memory moved: forget them if the transaction fails."""

    endings: list[Ending] = field(default_factory=list)
    moved: set[str] = field(default_factory=set)


def released(hold: OpenHold, reason: HoldReason) -> Ending:
    """Return the ending of a hold that does not wait for this any more."""
    remaining = tuple(one for one in hold.reasons if one != reason)
    return Ending(hold=hold, resolution="release", reason=reason, code="", remaining=remaining)


def rejected(hold: OpenHold, reason: HoldReason, code: str, denied_by: Sequence[str] = ()) -> Ending:
    """Return the ending of a hold that this reason makes impossible; `code` is what the customer is told."""
    return Ending(hold=hold, resolution="reject", reason=reason, code=code, remaining=(), denied_by=tuple(denied_by))


class EndHolds:
    """Settles a reason of locked holds inside the caller's transaction.

    Idempotent by: the hold's reasons, which the caller has locked. Locks: rules and lists as they stand, then the
    payers' rows. Emits: HoldResolved. Raises: Unavailable.
    """

    def __init__(self, cache: PayerCache, policy: PolicyInForce, screening: ScreeningInForce) -> None:
        """Share them with whatever screens on the same connection."""
        self._cache = cache
        self._policy = policy
        self._screening = screening

    async def __call__(
        self, transaction: Transaction, endings: Sequence[Ending], now: datetime, resolved: Resolved
    ) -> None:
        """Write what became of these holds and say it.

        A release is a rejection where a list forbids it by now, or, if it is late, the limits do. Fills `resolved`
        with what was done.
        """
        on, gone = ([one for one in endings if one.resolution == resolution] for resolution in ("release", "reject"))
        on, denied = await self._check_lists_again(transaction, on, now)
        resolved.endings = [*await self._check_limits_again(transaction, on, now, resolved), *denied, *gone]
        if not resolved.endings:
            return
        codes = {one.hold.transfer_id: one.code for one in resolved.endings if one.resolution == "reject"}
        if codes:
            resolved.moved.update(await release_limits(transaction, self._cache, codes, now))
        await self._send(transaction, resolved.endings, now)
        # Nobody need look at what cannot go on any more.
        moot = {
            one.hold.transfer_id: one.code
            for one in resolved.endings
            if one.resolution == "reject" and one.reason != REVIEW and REVIEW in one.hold.reasons
        }
        if moot:
            await end_reviews(transaction.connection, moot, now)

    async def _check_lists_again(
        self, transaction: Transaction, on: list[Ending], now: datetime
    ) -> tuple[list[Ending], list[Ending]]:
        """Return (releases that may be, rejections of those that a list forbids). What waits on is looked at later.

        Nobody changes the lists from here to the commit: what somebody was entered for before it, is found.
        """
        if not any(not ending.remaining for ending in on):
            return on, []
        lists = (await self._screening.keep_still(transaction.connection)).lists
        allowed: list[Ending] = []
        denied: list[Ending] = []
        for ending in on:
            denied_by: Sequence[str] = ()
            if not ending.remaining:
                denied_by = ask_lists(lists, _read_command(ending.hold.command), now_us=to_us(now)).denied_by
            if denied_by:
                denied.append(rejected(ending.hold, ending.reason, BLOCKED_BY_LIST.code, denied_by))
            else:
                allowed.append(ending)
        return allowed, denied

    async def _check_limits_again(
        self, transaction: Transaction, on: list[Ending], now: datetime, resolved: Resolved
    ) -> list[Ending]:
        """Let releases pass whose slot still counts; the others need a new one, taken now, or end here."""
        late = [ending for ending in on if _needs_new_slot(ending, now)]
        if not late:
            return on
        policy = await self._policy.read(transaction.connection)
        user_ids = sorted({ending.hold.user_id for ending in late})
        resolved.moved.update(user_ids)
        customers = await load_customers(transaction.connection, user_ids)
        payers = await load_payers(transaction.connection, self._cache, user_ids, customers, now)
        endings = [ending for ending in on if not _needs_new_slot(ending, now)]
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
                endings.append(rejected(ending.hold, ending.reason, taken.code))
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
                reason=ending.reason,
                remaining=ending.remaining,
                code=ending.code,
                ruleset=WITHOUT_RULES,
                resolved_at=resolved_at,
                command=_read_command(hold.command),
            )
            transaction.emit(SCREENINGS, hold.transfer_id, message)
            rows.append(ResolvedHold(hold.transfer_id, _status(ending), ending.remaining, _encode(message)))
        await save_resolutions(transaction.connection, rows, now)
        # Whoever waits for a review alone goes on waiting for nobody's KYC; whoever waits for both still does.
        done = [one.hold for one in endings if KYC_PENDING in one.hold.reasons and KYC_PENDING not in one.remaining]
        if done:
            await stop_waiting(transaction.connection, done)


def count_endings(resolved: Resolved) -> None:
    """Count what was ended, after the commit, and say which entries forbade a release: the message does not."""
    for ending in resolved.endings:
        HOLDS_RESOLVED.labels(ending.resolution).inc()
        if ending.denied_by:
            log.info("hold_denied", transfer_id=ending.hold.transfer_id, entry_ids=ending.denied_by)


def _needs_new_slot(ending: Ending, now: datetime) -> bool:
    """Tell whether this release would post now, though its first slot has left the day's window.

    What the ledger has refused or voided posts no more: its slot is back already, and nothing would give back another.
    """
    hold = ending.hold
    return not ending.remaining and not hold.is_settled and to_us(hold.decided_at) <= to_us(now) - DAY_US


def _take_slot(payer: Payer, hold: OpenHold, limits: LimitProfile, now: datetime) -> LateSlot | Breach:
    """Use a slot of the payer's limits now, or return the limit that forbids it."""
    moment_us = payer.moment(to_us(now))
    breach = find_breach(limits, payer.window, usd_minor=hold.usd_minor, now_us=moment_us)
    if breach is not None:
        return breach
    payer.window.take(moment_us, hold.usd_minor)
    return LateSlot(hold.transfer_id, payer.user_id, hold.usd_minor, from_us(moment_us))


def _status(ending: Ending) -> Literal["open", "released", "rejected"]:
    if ending.resolution == "reject":
        return "rejected"
    return "open" if ending.remaining else "released"
