"""Watch postings: what the ledger posted becomes payments between customers, each kept once."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
import structlog

from libs.common.clock import Clock
from libs.common.contracts.ledger import TransferChanged
from services.fraud.domain.aml_edges import Edge
from services.fraud.domain.moments import to_us
from services.fraud.domain.usd_rates import UsdRate, usd_minor_of
from services.fraud.metrics import EDGES_HEARD
from services.fraud.store.aml_edges import DecidedTransfer, find_decided, keep_edges, lock_progress
from services.fraud.store.aml_rings import Rings
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

    def __init__(self, watch: Watch, rings: Rings, *, clock: Clock) -> None:
        """Share connection and memory with what judges."""
        self._watch = watch
        self._rings = rings
        self._clock = clock

    async def __call__(self, changes: Sequence[TransferChanged]) -> None:
        """Keep the payments of these. A reversal is no payment, and what it took back was one all the same."""
        now = self._clock()
        oldest = now - LOOKED_BACK
        posted = {change.transfer_id: change for change in changes if _is_posting(change, oldest)}
        if not posted:
            return
        try:
            async with self._watch.open() as connection:
                progress = await lock_progress(connection)
                decided = await find_decided(connection, list(posted))
                edges = [
                    edge
                    for transfer_id, change in posted.items()
                    if transfer_id in decided
                    for edge in edges_of(change, decided[transfer_id])
                ]
                kept = await keep_edges(connection, edges, now) if edges else []
        except BaseException:
            self._rings.forget()
            raise
        self._rings.agree(progress.heard_up_to)
        self._rings.follow(kept)
        self._rings.shrink()
        EDGES_HEARD.inc(len(kept))
        if len(decided) < len(posted):
            unknown = sorted(posted.keys() - decided.keys())
            log.warning("posting_without_decision", transfers=len(unknown), transfer_id=unknown[0])


def edges_of(change: TransferChanged, decided: DecidedTransfer) -> Iterator[Edge]:
    """Yield the payments of a posted transfer, one a payee, without what somebody pays himself.

    US cents at the rates of the decision. Of a hold that was captured in part, what was captured.
    """
    features = _read_features(decided.features)
    payer_id = decided.user_id or features.payer_id
    posted_us = to_us(datetime.fromisoformat(change.occurred_at))
    for place, (payee_id, usd_minor) in enumerate(_paid(change, decided, features)):
        if usd_minor > 0 and (payee_id or None) != payer_id:
            yield Edge(
                posted_us,
                change.shard,
                change.journal_index,
                place,
                change.transfer_id,
                payer_id,
                payee_id or None,
                usd_minor,
                posted_us,
                0,
            )


def _paid(change: TransferChanged, decided: DecidedTransfer, features: SeenFeatures) -> list[tuple[str, int]]:
    """Return (payee, or nothing for nobody; US cents) of each payee, in the order of the legs."""
    if not features.legs and len(features.payees) > 1:
        return []  # decided before legs were kept: nobody knows who got how much
    legs = features.legs or _only_leg(features)
    if not features.legs and not change.captured_minor:
        return [(legs[0][0], decided.usd_minor)]
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


def _is_posting(change: TransferChanged, oldest: datetime) -> bool:
    """Tell whether this is a transfer's posting, lately. The same transfer is said to be posted after a reversal."""
    if change.status != "posted" or change.reverses or any(change.reversed_minor):
        return False
    return datetime.fromisoformat(change.occurred_at) >= oldest
