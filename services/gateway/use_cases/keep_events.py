"""Keep what happened for those who listen: each event once for each of them, in the order their stream has.

Only those who have listened lately are asked about, and whom a transfer concerns is looked up for them alone.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from libs.common.clock import Clock, to_rfc3339
from libs.common.contracts.accounts import AccountChanged
from libs.common.contracts.kyc import VerificationChanged
from libs.common.contracts.ledger import LedgerAccountChanged, TransferChanged
from libs.common.db.hot import HotConnection
from services.gateway.domain.events import (
    KEPT_FOR,
    Event,
    account_changed_event,
    account_status_event,
    transfer_events,
    verification_event,
)
from services.gateway.metrics import EVENTS_KEPT
from services.gateway.store.directory import load_accounts
from services.gateway.store.events import delete_events, forget_readers, insert_events, load_registrations
from services.gateway.store.parties import load_parties
from services.gateway.store.webhooks import delete_webhooks_of_closed
from services.gateway.use_cases.project_outcomes import outcome_of

_PRUNED_AT_ONCE: Final = 5_000
_SPARE: Final = timedelta(days=1)
"""Kept longer than anything is told again, however far two clocks are apart."""


class Listeners:
    """For whom events are kept, by this process's knowledge; each look asks for those who came since.

    One who is not kept for any more stays in memory until the process ends: he costs a row that nobody reads.
    """

    def __init__(self) -> None:
        """Know nobody."""
        self._since: dict[str, str] = {}
        self._registered = 0

    async def look(self, connection: asyncpg.Connection) -> bool:
        """Learn who came; tell whether there is anybody at all.

        Whoever is registered after this look hears of what the ledger decides after that, not of this batch.
        """
        for registration in await load_registrations(connection, self._registered):
            self._since[registration.user_id] = to_rfc3339(registration.since_at)
            self._registered = registration.registered
        return bool(self._since)

    def hears(self, user_id: str) -> bool:
        """Tell whether events are kept for this user."""
        return user_id in self._since

    def owed(self, events: Iterable[Event], now: datetime) -> list[Event]:
        """Leave out what happened before somebody listened, or so long ago that its first telling may be deleted."""
        oldest = to_rfc3339(now - KEPT_FOR)
        return [event for event in events if event.occurred_at >= max(oldest, self._since[event.user_id])]


class KeepEvents:
    """Writes events from what the other services say. Idempotent by: (event id, user). Raises: Unavailable.

    The ids of events follow from (shard, journal index) or (key, version), so an older one that comes late is kept and
    one that comes again is not.
    """

    def __init__(self, connection: HotConnection, clock: Clock) -> None:
        """Use a connection of its own."""
        self._connection = connection
        self._clock = clock
        self._listeners = Listeners()

    async def transfers(self, changes: Sequence[TransferChanged]) -> None:
        """Keep states of transfers for their parties."""
        async with self._connection.autocommit() as database:
            if not changes or not await self._listeners.look(database):
                return
            parties = await load_parties(database, list({change.transfer_id for change in changes}))
            events = [
                event
                for change in changes
                if change.transfer_id in parties
                for event in transfer_events(
                    outcome_of(change),
                    parties[change.transfer_id],
                    shard=change.shard,
                    listeners=self._listeners.hears,
                )
            ]
            await self._keep(database, events)

    async def accounts(self, changes: Sequence[AccountChanged]) -> None:
        """Keep states of accounts for their owners; one that is still being opened is none yet."""
        events = [
            account_changed_event(
                owner_id=change.owner_id,
                data={
                    "account_id": change.account_id,
                    "account_number": change.account_number,
                    "asset": change.asset,
                    "status": change.status,
                    "version": change.version,
                },
                occurred_at=change.occurred_at,
            )
            for change in changes
            if change.status != "opening"
        ]
        await self._keep_heard(events)

    async def account_states(self, changes: Sequence[LedgerAccountChanged]) -> None:
        """Keep what staff let accounts do, for their owners."""
        async with self._connection.autocommit() as database:
            if not changes or not await self._listeners.look(database):
                return
            known = await load_accounts(database, list({change.account_id for change in changes}))
            owners = {account.account_id: account.owner_id for account in known}
            events = [
                account_status_event(
                    owner_id=owners[change.account_id],
                    data={
                        "account_id": change.account_id,
                        "status": change.status,
                        "minimum_minor": change.minimum_minor,
                        "maximum_minor": change.maximum_minor,
                        "shard": change.shard,
                        "journal_index": change.journal_index,
                    },
                    occurred_at=change.occurred_at,
                )
                for change in changes
                if change.account_id in owners
            ]
            await self._keep(database, [event for event in events if self._listeners.hears(event.user_id)])

    async def verifications(self, changes: Sequence[VerificationChanged]) -> None:
        """Keep how far customers are verified, for themselves."""
        events = [
            verification_event(
                user_id=change.user_id,
                data={
                    "user_id": change.user_id,
                    "status": change.status,
                    "tier": change.tier,
                    "version": change.version,
                },
                occurred_at=change.occurred_at,
            )
            for change in changes
        ]
        await self._keep_heard(events)

    async def _keep_heard(self, events: Sequence[Event]) -> None:
        async with self._connection.autocommit() as database:
            if events and await self._listeners.look(database):
                await self._keep(database, [event for event in events if self._listeners.hears(event.user_id)])

    async def _keep(self, database: asyncpg.Connection, events: Sequence[Event]) -> None:
        now = self._clock()
        owed = self._listeners.owed(events, now)
        if owed:
            await insert_events(database, owed, now)
            EVENTS_KEPT.inc(len(owed))


class PruneEvents:
    """Deletes events that are too old, page by page. Raises: Unavailable."""

    def __init__(self, connection: HotConnection, clock: Clock) -> None:
        """Use this connection."""
        self._connection = connection
        self._clock = clock

    async def __call__(self) -> None:
        """Delete all that is too old now, and forget who has not listened, or has closed, for as long."""
        now = self._clock()
        deleted = _PRUNED_AT_ONCE
        while deleted == _PRUNED_AT_ONCE:
            async with self._connection.autocommit() as database:
                deleted = await delete_events(database, now - KEPT_FOR - _SPARE, limit=_PRUNED_AT_ONCE)
        async with self._connection.autocommit() as database:
            await delete_webhooks_of_closed(database, now - KEPT_FOR)
            await forget_readers(database, now)
