"""Keep from where money was asked for, beside what was asked for: the audit log of transfers is made of both."""

import asyncio
from collections import deque
from contextlib import suppress
from datetime import datetime
from typing import Final

import structlog

from libs.common.audit.asker import bounded_user_agent, by_itself
from libs.common.audit.audit_log import AuditLog
from libs.common.audit.entry import new_entry
from libs.common.clock import Clock
from libs.common.contracts.audit import AuditEntry
from libs.common.errors import Unavailable
from libs.common.http.hot import HotRequest
from libs.common.ids import new_id
from libs.common.telemetry.metrics import AUDIT_LOST
from services.gateway.store.money_callers import RECORDED_AS, Caller, Lump, lump_of, save_lump

log = structlog.get_logger()

_PAUSE_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 3.0
_LUMPS_MAX: Final = 1_000


class MoneyCallers:
    """Noted in memory as requests are answered, half a microsecond each, and taken by whoever writes them."""

    def __init__(self) -> None:
        """Begin with none."""
        self._requests: list[tuple[str, str, int]] = []
        self._places: dict[tuple[str, bytes, str], int] = {}

    def note(self, transfer_id: str, request: HotRequest) -> None:
        """Remember from where a transfer was asked for. Replays are not noted: their transfer was."""
        caller = (request.address, request.user_agent, request.principal.key_id)
        place = self._places.setdefault(caller, len(self._places))
        self._requests.append((transfer_id, request.request_id, place))

    def take(self) -> Lump | None:
        """Return what was noted since the last time, or None."""
        requests, places = self._requests, self._places
        if not requests:
            return None
        self._requests, self._places = [], {}
        callers = [Caller(address, bounded_user_agent(client), key_id) for address, client, key_id in places]
        return lump_of(new_id(), requests, callers)


def proof_of(lump: Lump, at: datetime) -> AuditEntry:
    """Return the audit entry that proves a lump by its digest."""
    return new_entry(
        "gateway",
        by_itself("gateway"),
        RECORDED_AS,
        at=at,
        resource=("money_callers", lump.lump_id),
        facts={"requests": lump.requests, "sha256": lump.digest()},
    )


class RecordCallers:
    """Writes what was noted each second: a row for all of it, and an audit entry with its digest, in one commit."""

    def __init__(self, callers: MoneyCallers, audit_log: AuditLog, clock: Clock) -> None:
        """Write what these noted."""
        self._callers = callers
        self._log = audit_log
        self._clock = clock
        self._unwritten: deque[Lump] = deque()

    async def run(self) -> None:
        """Write for ever; what is left when the process ends is written within a bound."""
        try:
            while True:
                await asyncio.sleep(_PAUSE_SECONDS)
                try:
                    await self.write()
                except Unavailable as reason:
                    log.warning("money_callers_wait", code=reason.code, lumps=len(self._unwritten))
        finally:
            with suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(_STOP_SECONDS):
                    await self.write()
            await self._log.close()

    async def write(self) -> None:
        """Write what was noted and what could not be written before. Raises: Unavailable."""
        lump = self._callers.take()
        if lump is not None:
            self._unwritten.append(lump)
        if len(self._unwritten) > _LUMPS_MAX:
            AUDIT_LOST.labels("gateway").inc(self._unwritten.popleft().requests)
        while self._unwritten:
            await self._write(self._unwritten[0])
            self._unwritten.popleft()

    async def _write(self, lump: Lump) -> None:
        """Commits: the lump and the entry that proves it."""
        entry = proof_of(lump, self._clock())
        await self._log.append([entry], before=lambda connection: save_lump(connection, lump))
