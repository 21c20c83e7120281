"""The sweeper: a request whose outcome has not come is sent again, unchanged.

Whoever has handled it answers again, so that this one rule repairs every loss downstream, a broker that forgot
everything included. It never makes a storm: a page at a time, at most some percent of the throughput.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from libs.common.clock import Clock
from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from libs.common.ids import first_id_at
from libs.common.messaging.outgoing_message import Outgoing
from libs.common.messaging.publisher import Publisher
from services.gateway.messages import batch_requested, ledger_command, transfer_requested
from services.gateway.metrics import OLDEST_UNDECIDED_SECONDS, REPEATED, UNDECIDED
from services.gateway.store.repeats import (
    DueRequest,
    collect_unsettled,
    find_undecided,
    load_batch_commands,
    take_due,
)

log = structlog.get_logger()

_EVERY_SECONDS: Final = 1.0
_COLLECT_EVERY: Final = 4
_PAGE: Final = 200
_PAUSE_BETWEEN_PAGES_SECONDS: Final = 0.25
_PATIENCE: Final = timedelta(seconds=5)
_MARK_BEHIND: Final = timedelta(seconds=15)
_AHEAD: Final = timedelta(seconds=15)
"""No two clocks that are right differ by this much."""


class Repeater:
    """Looks once a second for requests to send again; at start it looks at once, and without patience."""

    def __init__(self, connection: HotConnection, publisher: Publisher, clock: Clock) -> None:
        """Use a connection of its own."""
        self._connection = connection
        self._publisher = publisher
        self._clock = clock

    async def run(self) -> None:
        """Sweep until cancelled."""
        patience = timedelta(0)
        rounds = 0
        while True:
            try:
                if rounds % _COLLECT_EVERY == 0:
                    await self._collect(patience)
                    patience = _PATIENCE
                    await self._measure()
                await self._send_due()
                rounds += 1
            except Unavailable as reason:
                log.warning("repeating_postponed", code=reason.code)
            await asyncio.sleep(_EVERY_SECONDS)

    async def _collect(self, patience: timedelta) -> None:
        now = self._clock()
        # tidy: allow commit-outside-unit-of-work: the list of repeats is the sweeper's own; nothing is emitted
        async with self._connection.transaction() as connection:
            await collect_unsettled(
                connection,
                older_than_id=first_id_at(now - patience),
                mark_to_id=first_id_at(now - _MARK_BEHIND),
                ahead_of_id=first_id_at(now + _AHEAD),
                now=now,
            )

    async def _measure(self) -> None:
        async with self._connection.autocommit() as connection:
            oldest, number = await find_undecided(connection)
        UNDECIDED.set(number)
        OLDEST_UNDECIDED_SECONDS.set(0 if oldest is None else (self._clock() - moment_of(oldest)).total_seconds())

    async def _send_due(self) -> None:
        # While the broker is away, a page that waits for it is enough: copies of the same would fill the queue.
        while self._publisher.waiting_messages < _PAGE:
            # tidy: allow commit-outside-unit-of-work: as above; what is sent was committed long ago
            async with self._connection.transaction() as connection:
                due = await take_due(connection, self._clock(), _PAGE)
                batches = {
                    request.batch_id: (request.key, await load_batch_commands(connection, request.batch_id))
                    for request in due
                    if request.batch_id is not None
                }
            messages = [_message(request) for request in due if request.batch_id is None]
            messages += [
                batch_requested(actor_id, batch_id, commands) for batch_id, (actor_id, commands) in batches.items()
            ]
            if not messages:
                return
            REPEATED.inc(len(due))
            log.info("requests_repeated", requests=len(due))
            await self._publisher.send(messages)
            await asyncio.sleep(_PAUSE_BETWEEN_PAGES_SECONDS)


def _message(request: DueRequest) -> Outgoing:
    if request.scope:
        return ledger_command(request.scope, request.transfer_id, request.key, request.command)
    return transfer_requested(request.key, request.transfer_id, request.command)


def moment_of(transfer_id: str) -> datetime:
    """Return when a UUIDv7 (RFC 9562, 5.7) was made, to the millisecond."""
    return datetime.fromtimestamp((UUID(transfer_id).int >> 80) / 1000, UTC)
