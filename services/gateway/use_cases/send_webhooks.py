"""Send events to webhooks: at least once, in the order of each resource, again and again for three days.

A process leases the webhooks it sends to; what it has not noted when it dies is sent again by whoever has the lease
next. While one resource's event is not taken, only the later ones of the same resource wait for it.
"""

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import structlog

from libs.common.clock import Clock, monotonic_seconds, to_rfc3339
from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from libs.common.ids import new_id
from services.gateway.domain.events import webhook_disabled_event
from services.gateway.domain.webhooks import Attempt, DisabledBecause, Webhook, next_attempt_at, rest_after
from services.gateway.metrics import WEBHOOK_ATTEMPTS, WEBHOOKS_DISABLED
from services.gateway.store.events import insert_events
from services.gateway.store.webhook_deliveries import DueDelivery, load_due, note_attempt
from services.gateway.store.webhooks import (
    claim_webhooks,
    disable_webhook,
    note_round,
    release_webhook,
    renew_lease,
)
from services.gateway.webhook_secrets import WebhookSecrets
from services.gateway.webhook_sender import WebhookSender

log = structlog.get_logger()

_LOOK_SECONDS: Final = 0.5
_LEASE: Final = timedelta(seconds=30)
"""Longer than a round may take; so long a webhook rests when the process that sends to it is killed."""
_TURN_SECONDS: Final = 30.0
_AT_ONCE: Final = 8
"""Events sent to one receiver side by side, each of another resource."""
_RECEIVERS_MAX: Final = 32
_SPREAD: Final = 0.1


class SendWebhooks:
    """The part of one process in sending; any number of processes share the work."""

    def __init__(self, connection: HotConnection, sender: WebhookSender, secrets: WebhookSecrets, clock: Clock) -> None:
        """Use a connection of its own, which the tasks share."""
        self._connection = connection
        self._sender = sender
        self._secrets = secrets
        self._clock = clock
        self._holder = new_id()
        self._turns: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Look for what is due, for ever; cancelled, what is under way is cut off and sent again by another."""
        try:
            while True:
                try:
                    await self.begin_turns()
                except Unavailable as reason:
                    log.warning("webhooks_wait", code=reason.code)
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            for turn in self._turns:
                turn.cancel()
            await asyncio.gather(*self._turns, return_exceptions=True)
            await self._sender.close()

    async def begin_turns(self) -> Sequence[asyncio.Task[None]]:
        """Lease webhooks for which something is due, as many as there is room for, and send to each in a task."""
        room = _RECEIVERS_MAX - len(self._turns)
        if not room:
            return ()
        async with self._connection.autocommit() as database:
            claimed = await claim_webhooks(database, self._holder, self._clock(), _LEASE, limit=room)
        turns = [asyncio.create_task(self._send_to(webhook)) for webhook in claimed]
        for turn in turns:
            self._turns.add(turn)
            turn.add_done_callback(self._turns.discard)
        return turns

    async def _send_to(self, webhook: Webhook) -> None:
        """Send what is due, round after round, for one turn; then others have theirs. The lease ends by itself, too."""
        ends_at = monotonic_seconds() + _TURN_SECONDS
        current: Webhook | None = webhook
        try:
            while current is not None and monotonic_seconds() < ends_at and await self._round(current):
                async with self._connection.autocommit() as database:
                    current = await renew_lease(database, webhook.webhook_id, self._holder, self._clock(), _LEASE)
            async with self._connection.autocommit() as database:
                await release_webhook(database, webhook.webhook_id, self._holder)
        except Unavailable as reason:
            log.warning("webhook_turn_ended", webhook_id=webhook.webhook_id, code=reason.code)
        except Exception:  # one webhook's turn must not end the others'; its lease runs out and it is tried again
            log.exception("webhook_turn_failed", webhook_id=webhook.webhook_id)

    async def _round(self, webhook: Webhook) -> bool:
        """Send what is due, at most one event of a resource; tell whether there was anything."""
        async with self._connection.autocommit() as database:
            due = await load_due(database, webhook.webhook_id, self._clock(), limit=_AT_ONCE)
        if not due:
            return False
        attempts = await asyncio.gather(*(self._post(webhook, delivery) for delivery in due))
        # tidy: allow commit-outside-unit-of-work: nothing is said of it, so there is nothing to publish
        async with self._connection.transaction() as database:
            await self._note(database, webhook, list(zip(due, attempts, strict=True)))
        return True

    async def _post(self, webhook: Webhook, delivery: DueDelivery) -> Attempt:
        now = self._clock()
        headers = {
            "content-type": "application/json",
            "user-agent": "Tallystick-Webhooks/1",
            "webhook-id": delivery.event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._secrets.sign(webhook.secrets_at(now), delivery.event_id, now, delivery.payload),
        }
        attempt = await self._sender.post(webhook.url, headers, delivery.payload)
        WEBHOOK_ATTEMPTS.labels("taken" if attempt.is_taken() else attempt.failure or "refused").inc()
        return attempt

    async def _note(
        self, database: asyncpg.Connection, webhook: Webhook, tried: Sequence[tuple[DueDelivery, Attempt]]
    ) -> None:
        now = self._clock()
        because: DisabledBecause = ""
        for delivery, attempt in tried:
            again_at = None
            if not attempt.is_taken():
                spread = random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311 -- no secret: receivers come back apart
                began = delivery.first_attempt_at or now
                again_at = next_attempt_at(delivery.attempts + 1, began, now, spread)
                because = "gone" if attempt.is_gone() else because or ("" if again_at else "failed_for_three_days")
            await note_attempt(database, webhook.webhook_id, delivery.position, attempt, now, again_at=again_at)
        if because:
            await self._disable(database, webhook, because, now)
        await self._note_round(database, webhook, [attempt for _, attempt in tried], now)

    async def _note_round(
        self, database: asyncpg.Connection, webhook: Webhook, attempts: Sequence[Attempt], now: datetime
    ) -> None:
        """Leave a receiver alone for a while that took none of several; one event alone has pauses of its own."""
        if any(attempt.is_taken() for attempt in attempts):
            if webhook.failed_rounds:
                await note_round(database, webhook.webhook_id, self._holder, 0, None)
        elif len(attempts) > 1:
            failed_rounds = webhook.failed_rounds + 1
            rests_until = now + rest_after(failed_rounds)
            await note_round(database, webhook.webhook_id, self._holder, failed_rounds, rests_until)

    async def _disable(
        self, database: asyncpg.Connection, webhook: Webhook, because: DisabledBecause, now: datetime
    ) -> None:
        if await disable_webhook(database, webhook.webhook_id, because, now) is None:
            return
        event = webhook_disabled_event(
            user_id=webhook.user_id, webhook_id=webhook.webhook_id, because=because, occurred_at=to_rfc3339(now)
        )
        await insert_events(database, [event], now)
        WEBHOOKS_DISABLED.labels(because).inc()
        log.info("webhook_disabled", webhook_id=webhook.webhook_id, because=because)
