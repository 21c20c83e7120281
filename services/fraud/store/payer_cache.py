"""The payers in memory, each at the version it was read or written at. PostgreSQL may know better, and says so."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from services.fraud.domain.payer import Payer

PAYERS_MAX: Final = 50_000
SLOTS_MAX: Final = 4_000_000
_FULL_PER_CENT: Final = 90


class PayerCache:
    """The most recently used payers, bounded in number and in slots (16 bytes each). Forgetting costs one query."""

    def __init__(self, *, payers_max: int = PAYERS_MAX, slots_max: int = SLOTS_MAX) -> None:
        """Start empty."""
        self._payers: OrderedDict[str, Payer] = OrderedDict()
        self._payers_max = payers_max
        self._slots_max = slots_max
        self._slots_at_most = 0

    def __len__(self) -> int:
        """Return how many payers are remembered."""
        return len(self._payers)

    def __contains__(self, user_id: str) -> bool:
        """Tell whether a payer is remembered; that is no use of him."""
        return user_id in self._payers

    def get(self, user_id: str) -> Payer | None:
        """Return a payer who is remembered, and count this as a use."""
        payer = self._payers.get(user_id)
        if payer is not None:
            self._payers.move_to_end(user_id)
        return payer

    def put(self, payer: Payer) -> None:
        """Remember a payer as he was just read."""
        self._payers[payer.user_id] = payer
        self._slots_at_most += len(payer.window)

    def forget(self, user_ids: Iterable[str]) -> None:
        """Drop payers whose rows changed elsewhere, or whose memory ran ahead of a commit that failed."""
        for user_id in user_ids:
            self._payers.pop(user_id, None)

    def release(self, user_id: str, *, version: int, slots: Iterable[tuple[int, int]]) -> None:
        """Follow a release that made `version` of the payer's row: give back slots (time µs, USD minor).

        A payer remembered at any other version than the one before is dropped.
        """
        payer = self._payers.get(user_id)
        if payer is None:
            return
        if payer.version != version - 1:
            del self._payers[user_id]
            return
        payer.version = version
        for taken_us, usd_minor in slots:
            payer.window.release(taken_us, usd_minor)

    def shrink(self, *, slots_taken: int) -> None:
        """Keep within the bounds, after a unit of work that took so many slots; the longest unused go first."""
        self._slots_at_most += slots_taken
        if len(self._payers) <= self._payers_max and self._slots_at_most <= self._slots_max:
            return
        # The running figure ignores expiry, so count once exactly, then leave room: this must not happen every batch.
        slots = sum(len(payer.window) for payer in self._payers.values())
        while self._payers and (
            len(self._payers) * 100 > self._payers_max * _FULL_PER_CENT
            or slots * 100 > self._slots_max * _FULL_PER_CENT
        ):
            _, dropped = self._payers.popitem(last=False)
            slots -= len(dropped.window)
        self._slots_at_most = slots
