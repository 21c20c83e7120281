"""Watch postings: what the ledger posted becomes payments between customers, each kept once."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
import structlog

from libs.common.clock import Clock
from libs.common.contracts.ledger import TransferChanged
from services.fraud.domain.aml_edges import Payment
from services.fraud.domain.moments import to_us
from services.fraud.domain.usd_rates import UsdRate, usd_minor_of
from services.fraud.metrics import EDGES_HEARD
from services.fraud.store.aml_edges import DecidedTransfer, find_decided, keep_edges, lock_progress
from services.fraud.store.aml_memory import Memory
from services.fraud.store.aml_watch import Watch

log = structlog.get_logger()

LOOKED_BACK: Final = timedelta(days=7)
"""What was posted longer ago is part of no window that is still looked at."""


class SeenFeatures(msgspec.Struct, gc=False):
    """What of a decision's features tells who paid whom; see `decide_transfers.Features`."""

    amounts_minor: dict[str, int]
    rates: dict[str, tuple[int, int]]
    payees: list[tuple[str, int, int]]
    legs: list[tuple[str, str, int]] = []
    payer_id: str | None = None


_read_features: Final = msgspec.json.Decoder(SeenFeatures).decode


class WatchPostings:
    """Hears what was posted.

    Idempotent by: the journal's record. Locks: the progress of the watch. Raises: Unavailable; nothing was written
    then, and the same batch may come again.
    """

    def __init__(self, watch: Watch, memory: Memory, *, clock: Clock) -> None:
        """Share connection and memory with what judges."""
        self._watch = watch
        self._memory = memory
        self._clock = clock

    async def __call__(self, changes: Sequence[TransferChanged]) -> None:
        """Keep the payments of these. A reversal is no payment, and what it took back was one all the same."""
        now = self._clock()
        postings = _postings(changes, to_us(now - LOOKED_BACK))
        if not postings:
            return
        unknown: list[str] = []
        paid: list[Payment] = []
        try:
            async with self._watch.open() as connection:
                progress = await lock_progress(connection)
                asked = [(change.transfer_id, change.shard, change.journal_index) for change, _ in postings]
                for place, decided in await find_decided(connection, asked):
                    change, posted_us = postings[place]
                    if decided is None:
                        unknown.append(change.transfer_id)
                    else:
                        paid += payments_of(change, posted_us, decided)
                kept = await keep_edges(connection, paid, now) if paid else []
        except BaseException:
            self._memory.forget()
            raise
        self._memory.agree(progress)
        self._memory.follow(kept, now)
        self._memory.shrink()
        EDGES_HEARD.inc(len(kept))
        if unknown:
            log.warning("posting_without_decision", transfers=len(unknown), transfer_id=min(unknown))


def payments_of(change: TransferChanged, posted_us: int, decided: DecidedTransfer) -> Iterator[Payment]:
    """Yield the payments of a posted transfer, one a payee, without what somebody pays himself.

    US cents at the rates of the decision. Of a hold that was captured in part, what was captured.
    """
    features = _read_features(decided.features)
    payer_id = decided.user_id or features.payer_id
    for place, (payee_id, usd_minor) in enumerate(_paid(change, decided, features)):
        if usd_minor > 0 and (payee_id or None) != payer_id:
            yield Payment(
                posted_us,
                change.shard,
                change.journal_index,
                place,
                change.transfer_id,
                payer_id,
                payee_id or None,
                usd_minor,
            )


def _paid(change: TransferChanged, decided: DecidedTransfer, features: SeenFeatures) -> list[tuple[str, int]]:
    """Return (payee, or nothing for nobody; US cents) of each payee, in the order of the legs."""
    if not features.legs and len(features.payees) > 1:
        return []  # decided before legs were kept: nobody knows who got how much
    if not features.legs and not change.captured_minor:
        return [(features.payees[0][0] if features.payees else "", decided.usd_minor)]
    legs = features.legs or _only_leg(features)
    amounts_minor = change.captured_minor or tuple(amount_minor for _, _, amount_minor in legs)
    paid: dict[str, dict[str, int]] = {}
    for (payee_id, asset, _), amount_minor in zip(legs, amounts_minor, strict=True):
        of_payee = paid.setdefault(payee_id, {})
        of_payee[asset] = of_payee.get(asset, 0) + amount_minor
    return [(payee_id, _usd_minor(amounts, features)) for payee_id, amounts in paid.items()]


def _only_leg(features: SeenFeatures) -> list[tuple[str, str, int]]:
    payee_id = features.payees[0][0] if features.payees else ""
    return [(payee_id, asset, amount_minor) for asset, amount_minor in features.amounts_minor.items()]


def _usd_minor(amounts_minor: dict[str, int], features: SeenFeatures) -> int:
    """Return US cents, each asset rounded once, at the decision's rates, which it had for every asset it let go on."""
    return sum(
        usd_minor_of(amount_minor, UsdRate(*features.rates[asset], version=0))
        for asset, amount_minor in amounts_minor.items()
    )


def _postings(changes: Sequence[TransferChanged], oldest_us: int) -> list[tuple[TransferChanged, int]]:
    """Return each transfer's posting, lately, and its moment. A transfer is said to be posted after a reversal, too."""
    posted = {
        change.transfer_id: change
        for change in changes
        if change.status == "posted" and not change.reverses and not any(change.reversed_minor)
    }
    dated = [(change, to_us(datetime.fromisoformat(change.occurred_at))) for change in posted.values()]
    return [(change, posted_us) for change, posted_us in dated if posted_us >= oldest_us]
