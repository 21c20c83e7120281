"""Sweep holds: what a lost event left waiting goes on, what a forgetful broker lost is sent again."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.fraud import HoldResolved
from libs.common.contracts.topics import SCREENINGS
from services.fraud.store.holds import lock_holds, look_for_resolvable, take_unsettled
from services.fraud.store.payer_cache import PayerCache
from services.fraud.store.unit_of_work import UnitOfWork
from services.fraud.use_cases.end_holds import Resolved, count_endings
from services.fraud.use_cases.resolve_holds import ResolveHolds
from services.fraud.use_cases.settle_limits import AwaitedHolds

SWEEP_SECONDS: Final = 10.0
LOOKED_AT_MAX: Final = 2_000
SENT_AGAIN_MAX: Final = 200
UNHEARD_AFTER: Final = timedelta(seconds=10)
_FROM_THE_START: Final = "00000000-0000-0000-0000-000000000000"

_read_resolution: Final = msgspec.json.Decoder(HoldResolved).decode


class SweepHolds:
    """One bounded page of each at every call.

    Idempotent by: the hold's status. Locks: holds, in order of their ids. Emits: HoldResolved. Raises: Unavailable.
    """

    def __init__(
        self, work: UnitOfWork, cache: PayerCache, resolve: ResolveHolds, awaited: AwaitedHolds, *, clock: Clock
    ) -> None:
        """Tell `awaited` of what is sent again, so that its end is recognised."""
        self._work = work
        self._cache = cache
        self._resolve = resolve
        self._awaited = awaited
        self._clock = clock
        self._looked_up_to = _FROM_THE_START

    async def __call__(self) -> None:
        """Look at the next page of open holds, then send again what the ledger has not answered."""
        await self._resolve_page()
        await self._send_again()

    async def _resolve_page(self) -> None:
        resolved = Resolved()
        last: str | None = None
        try:
            async with self._work.open() as transaction:
                found, last = await look_for_resolvable(
                    transaction.connection, after=self._looked_up_to, limit=LOOKED_AT_MAX
                )
                if found:
                    holds = await lock_holds(transaction.connection, found)
                    await self._resolve(transaction, holds, self._clock(), resolved)
        except BaseException:
            self._cache.forget(resolved.moved)
            raise
        self._looked_up_to = last or _FROM_THE_START
        count_endings(resolved)

    async def _send_again(self) -> None:
        """Send resolutions again whose effect was not heard for ten seconds; the ledger answers with what it has."""
        now = self._clock()
        due: Sequence[tuple[str, bytes]] = ()
        async with self._work.open() as transaction:
            due = await take_unsettled(
                transaction.connection, now=now, sent_before=now - UNHEARD_AFTER, limit=SENT_AGAIN_MAX
            )
            # Known before they are sent: the answer may be here before the next statement.
            self._awaited.note_round(transfer_id for transfer_id, _ in due)
            for transfer_id, resolution in due:
                transaction.emit(SCREENINGS, transfer_id, _read_resolution(resolution))
