"""Send events to a webhook again, look at what came of sending them, and send one that only tests it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from libs.common.clock import Clock, to_rfc3339
from libs.common.db.hot import HotConnection
from libs.common.errors import NotFound, Unprocessable
from libs.common.ids import new_id
from services.gateway.domain.events import KEPT_FOR, webhook_test_event
from services.gateway.domain.webhooks import Delivery
from services.gateway.store.events import insert_events
from services.gateway.store.webhook_deliveries import (
    load_deliveries,
    queue_delivery,
    replay_deliveries,
)
from services.gateway.use_cases.keep_webhooks import own_webhook

REPLAYED_MAX: Final = 10_000
"""Most events of one replay."""


class ReplayEvents:
    """What owners have sent to their webhooks besides what happens. Raises: Unavailable, NotFound webhook_not_found."""

    def __init__(self, connection: HotConnection, clock: Clock) -> None:
        """Use a connection of its own."""
        self._connection = connection
        self._clock = clock

    async def one(self, user_id: str, webhook_id: str, event_id: str) -> int:
        """Send this event again, whatever its type. Raises: NotFound event_not_found."""
        found = await self._replay(user_id, webhook_id, event_id, None, None)
        if not found:
            raise NotFound("event_not_found", "No event with this id is kept for you.")
        return found

    async def of_time(self, user_id: str, webhook_id: str, begins_at: datetime, ends_before: datetime | None) -> int:
        """Send all events of this time again that the webhook asks for, whether it has taken them or not.

        Return how many. Raises: Unprocessable replay_too_large, and nothing is sent.
        """
        return await self._replay(user_id, webhook_id, None, begins_at, ends_before)

    async def _replay(
        self,
        user_id: str,
        webhook_id: str,
        event_id: str | None,
        begins_at: datetime | None,
        ends_before: datetime | None,
    ) -> int:
        now = self._clock()
        # tidy: allow commit-outside-unit-of-work: nothing is said of it, so there is nothing to publish
        async with self._connection.transaction() as database:
            webhook = await own_webhook(database, user_id, webhook_id)
            replayed = await replay_deliveries(
                database,
                webhook_id,
                user_id,
                now,
                event_id=event_id,
                begins_at=begins_at or now - KEPT_FOR,
                ends_before=ends_before or now + KEPT_FOR,
                event_types=webhook.event_types,
                limit=REPLAYED_MAX + 1,
            )
            if replayed > REPLAYED_MAX:
                raise Unprocessable(
                    "replay_too_large", f"More than {REPLAYED_MAX} events; ask for a shorter time.", limit=REPLAYED_MAX
                )
        return replayed

    async def test(self, user_id: str, webhook_id: str) -> str:
        """Send an event that says nothing; return its id, under which the log shows what came of it."""
        now, event_id = self._clock(), new_id()
        event = webhook_test_event(event_id, user_id=user_id, webhook_id=webhook_id, occurred_at=to_rfc3339(now))
        # tidy: allow commit-outside-unit-of-work: as above
        async with self._connection.transaction() as database:
            await own_webhook(database, user_id, webhook_id)
            await insert_events(database, [event], now)
            await queue_delivery(database, webhook_id, event_id, now, user_id)
        return event_id

    async def log(
        self, user_id: str, webhook_id: str, *, before: int, status: str | None, limit: int
    ) -> Sequence[Delivery]:
        """Return what was sent, newest events first, those below this position."""
        async with self._connection.autocommit() as database:
            await own_webhook(database, user_id, webhook_id)
            return await load_deliveries(database, webhook_id, before=before, status=status, limit=limit)
