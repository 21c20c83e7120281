"""`gateway.webhooks`: where events are sent to, and who is sending to each at the moment."""

from datetime import datetime, timedelta
from typing import Final

import asyncpg

from services.gateway.domain.webhooks import DisabledBecause, Webhook

_COLUMNS: Final = """w.webhook_id::text, w.user_id::text, w.url, w.description, w.event_types, w.sealed_secret,
    w.earlier_secret, w.earlier_until, w.is_enabled, w.disabled_because, w.disabled_at, w.created_at, w.changed_at,
    w.failed_rounds"""
_INSERT: Final = """
INSERT INTO gateway.webhooks (webhook_id, user_id, url, description, event_types, sealed_secret, created_at, changed_at)
VALUES ($1::uuid, $2::uuid, $3, $4, $5, $6, $7, $7)
"""
_OF_USER: Final = f"SELECT {_COLUMNS} FROM gateway.webhooks w WHERE w.user_id = $1::uuid ORDER BY w.webhook_id"  # noqa: S608 -- names of columns
_ONE: Final = f"""
SELECT {_COLUMNS} FROM gateway.webhooks w WHERE w.webhook_id = $1::uuid AND w.user_id = $2::uuid FOR UPDATE
"""  # noqa: S608 -- as above
_UPDATE: Final = """
UPDATE gateway.webhooks SET url = $2, description = $3, event_types = $4, sealed_secret = $5, earlier_secret = $6,
    earlier_until = $7, is_enabled = $8, disabled_because = $9, disabled_at = $10, changed_at = $11,
    paused_until = '-infinity', failed_rounds = 0
WHERE webhook_id = $1::uuid
"""
_DELETE: Final = """
WITH gone AS (DELETE FROM gateway.webhook_deliveries WHERE webhook_id = $1::uuid)
DELETE FROM gateway.webhooks WHERE webhook_id = $1::uuid
"""
# Receivers that answer come first, so that dead ones cannot take all places.
_CLAIM: Final = f"""
WITH due AS (
    SELECT c.webhook_id FROM gateway.webhooks c
    WHERE c.is_enabled AND c.leased_until <= $1 AND c.paused_until <= $1 AND EXISTS (
        SELECT 1 FROM gateway.webhook_deliveries d
        WHERE d.webhook_id = c.webhook_id AND d.status = 'pending' AND d.next_attempt_at <= $1)
    ORDER BY c.failed_rounds, c.leased_until LIMIT $4 FOR UPDATE SKIP LOCKED)
UPDATE gateway.webhooks w SET leased_by = $2, leased_until = $3 FROM due WHERE w.webhook_id = due.webhook_id
RETURNING {_COLUMNS}
"""  # noqa: S608 -- as above
_RENEW: Final = f"""
UPDATE gateway.webhooks w SET leased_until = $3
WHERE w.webhook_id = $1::uuid AND w.leased_by = $2 AND w.is_enabled AND w.paused_until <= $4 RETURNING {_COLUMNS}
"""  # noqa: S608 -- as above
_RELEASE: Final = """
UPDATE gateway.webhooks SET leased_by = '', leased_until = '-infinity' WHERE webhook_id = $1::uuid AND leased_by = $2
"""
_NOTE_ROUND: Final = """
UPDATE gateway.webhooks SET failed_rounds = $3, paused_until = coalesce($4, '-infinity')
WHERE webhook_id = $1::uuid AND leased_by = $2
"""
_DISABLE: Final = f"""
UPDATE gateway.webhooks w SET is_enabled = false, disabled_because = $2, disabled_at = $3, changed_at = $3
WHERE w.webhook_id = $1::uuid AND w.is_enabled RETURNING {_COLUMNS}
"""  # noqa: S608 -- as above


async def insert_webhook(connection: asyncpg.Connection, webhook: Webhook) -> None:
    """Keep a new one, enabled."""
    await connection.execute(
        _INSERT,
        webhook.webhook_id,
        webhook.user_id,
        webhook.url,
        webhook.description,
        list(webhook.event_types),
        webhook.sealed_secret,
        webhook.created_at,
    )


async def load_webhooks(connection: asyncpg.Connection, user_id: str) -> list[Webhook]:
    """Return the user's, oldest first."""
    return [_webhook(row) for row in await connection.fetch(_OF_USER, user_id)]


async def lock_webhook(connection: asyncpg.Connection, webhook_id: str, user_id: str) -> Webhook | None:
    """Return one of the user's and keep others from changing it until the transaction ends."""
    row = await connection.fetchrow(_ONE, webhook_id, user_id)
    return None if row is None else _webhook(row)


async def update_webhook(connection: asyncpg.Connection, webhook: Webhook) -> None:
    """Keep what its owner changed; a receiver that was left alone is tried again."""
    await connection.execute(
        _UPDATE,
        webhook.webhook_id,
        webhook.url,
        webhook.description,
        list(webhook.event_types),
        webhook.sealed_secret,
        webhook.earlier_secret,
        webhook.earlier_until,
        webhook.is_enabled,
        webhook.disabled_because,
        webhook.disabled_at,
        webhook.changed_at,
    )


async def delete_webhook(connection: asyncpg.Connection, webhook_id: str) -> None:
    """Delete it and what was to be sent to it."""
    await connection.execute(_DELETE, webhook_id)


async def claim_webhooks(
    connection: asyncpg.Connection, holder: str, now: datetime, lease: timedelta, *, limit: int
) -> list[Webhook]:
    """Lease webhooks for which something is due and that nobody sends to."""
    return [_webhook(row) for row in await connection.fetch(_CLAIM, now, holder, now + lease, limit)]


async def renew_lease(
    connection: asyncpg.Connection, webhook_id: str, holder: str, now: datetime, lease: timedelta
) -> Webhook | None:
    """Return the webhook as it is now, leased for longer; None if it is not to be sent to any more, or not by us."""
    row = await connection.fetchrow(_RENEW, webhook_id, holder, now + lease, now)
    return None if row is None else _webhook(row)


async def release_webhook(connection: asyncpg.Connection, webhook_id: str, holder: str) -> None:
    """Let others send to it."""
    await connection.execute(_RELEASE, webhook_id, holder)


async def note_round(
    connection: asyncpg.Connection, webhook_id: str, holder: str, failed_rounds: int, paused_until: datetime | None
) -> None:
    """Note how many rounds in a row failed wholly, and until when the receiver is left alone."""
    await connection.execute(_NOTE_ROUND, webhook_id, holder, failed_rounds, paused_until)


async def disable_webhook(
    connection: asyncpg.Connection, webhook_id: str, because: DisabledBecause, now: datetime
) -> Webhook | None:
    """Send nothing more to it; None if it was disabled already."""
    row = await connection.fetchrow(_DISABLE, webhook_id, because, now)
    return None if row is None else _webhook(row)


def _webhook(row: asyncpg.Record) -> Webhook:
    return Webhook(**{**dict(row), "event_types": tuple(row["event_types"])})
