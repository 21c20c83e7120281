"""Verify by itself: what is new and all balances every minute, everything every night."""

from typing import Final

from libs.common.clock import Clock
from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from services.ledger.audit.findings import CannotVerify, Scope
from services.ledger.domain.nights import is_due
from services.ledger.store.verifications import load_newest_full
from services.ledger.use_cases.run_verification import RunVerification

_SECONDS_A_TURN: Final = 60
_NEW_SECONDS_MAX: Final = 3_600.0
"""The first one has no signed state to go on from and checks everything."""
_FULL_SECONDS_MAX: Final = 12 * 3_600.0


class WatchIntegrity:
    """What the worker's timers call. Raises: Unavailable (ledger_unverified) when nothing could be said."""

    def __init__(self, run: RunVerification, hot: HotConnection, clock: Clock, shard: int) -> None:
        """Use a connection that the writer does not wait for."""
        self._run = run
        self._hot = hot
        self._clock = clock
        self._shard = shard

    async def check_new(self) -> None:
        """Verify what is new since the last signed verification, all balances, and a slice of the old."""
        turn = int(self._clock().timestamp()) // _SECONDS_A_TURN
        await self._verify("minute", turn=turn, seconds_max=_NEW_SECONDS_MAX)

    async def check_all(self) -> None:
        """Verify everything, if the night's verification is due."""
        async with self._hot.autocommit() as connection:
            newest = await load_newest_full(connection, self._shard)
        if newest is not None and is_due(self._clock(), newest):
            await self._verify("full", turn=0, seconds_max=_FULL_SECONDS_MAX)

    async def _verify(self, scope: Scope, *, turn: int, seconds_max: float) -> None:
        try:
            await self._run(scope, turn=turn, seconds_max=seconds_max)
        except CannotVerify as failure:
            raise Unavailable("ledger_unverified", f"The ledger could not be verified: {failure}") from failure
