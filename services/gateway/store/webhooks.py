"""`gateway.webhooks`: where events are sent to, and who is sending to each at the moment."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from libs.common.clock import to_rfc3339
from libs.common.contracts.gateway import WebhookDisabled
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
UPDATE gateway.webhooks SET failed_rounds = $3, paused_until = coalesce($4::timestamptz, '-infinity')
WHERE webhook_id = $1::uuid AND leased_by = $2
"""
_DISABLE: Final = f"""
UPDATE gateway.webhooks w SET is_enabled = false, disabled_because = $2, disabled_at = $3, changed_at = $3
WHERE w.webhook_id = $1::uuid AND w.is_enabled RETURNING {_COLUMNS}
"""  # noqa: S608 -- as above


# Those too that were disabled already: what is left of somebody who has gone is deleted by this reason. The
# answers to the requests that made them stay: he may be restored, and his keys still make nothing twice. A state older
# than the newest known says nothing: he may be back.
_DISABLE_OF_CLOSED: Final = """
WITH gone AS (
    SELECT c.user_id, g.closed_at::timestamptz AS closed_at
    FROM unnest($1::uuid[], $2::int[], $3::text[]) AS g(user_id, version, closed_at)
    JOIN gateway.customers c ON c.user_id = g.user_id AND c.profile_version = g.version)
UPDATE gateway.webhooks w SET is_enabled = false, disabled_because = 'customer_closed',
    disabled_at = gone.closed_at, changed_at = gone.closed_at
FROM gone
WHERE w.user_id = gone.user_id AND w.disabled_because <> 'customer_closed'
"""
_DELETE_OF_CLOSED: Final = """
WITH gone AS (
    DELETE FROM gateway.webhooks WHERE disabled_because = 'customer_closed' AND disabled_at < $1 RETURNING webhook_id)
DELETE FROM gateway.webhook_deliveries d USING gone WHERE d.webhook_id = gone.webhook_id
"""
_DISABLED_SINCE: Final = """
SELECT w.user_id::text, w.webhook_id::text, w.disabled_because, w.disabled_at FROM gateway.webhooks w
WHERE (w.disabled_at, w.webhook_id) > ($1, $2::uuid) AND w.disabled_because IN ('gone', 'failed_for_three_days')
ORDER BY w.disabled_at, w.webhook_id LIMIT $3
"""


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


async def disable_webhooks_of_closed(connection: asyncpg.Connection, closed: Sequence[tuple[str, int, str]]) -> None:
    """Send nothing more for these (user id, version, RFC 3339 time of closing), unless a newer version is known."""
    await connection.execute(_DISABLE_OF_CLOSED, *(list(column) for column in zip(*closed, strict=True)))


async def delete_webhooks_of_closed(connection: asyncpg.Connection, closed_before: datetime) -> None:
    """Forget what those had who closed before that."""
    await connection.execute(_DELETE_OF_CLOSED, closed_before)


async def load_disabled(
    connection: asyncpg.Connection, beyond: tuple[datetime, str], *, limit: int
) -> tuple[list[WebhookDisabled], tuple[datetime, str] | None]:
    """Return a page of those that their receivers had disabled, oldest first, and where the next begins, if it does."""
    rows = await connection.fetch(_DISABLED_SINCE, *beyond, limit)
    page = [
        WebhookDisabled(user_id=user_id, webhook_id=webhook_id, because=because, occurred_at=to_rfc3339(disabled_at))
        for user_id, webhook_id, because, disabled_at in rows
    ]
    return page, (rows[-1]["disabled_at"], rows[-1]["webhook_id"]) if len(rows) == limit else None


def _webhook(row: asyncpg.Record) -> Webhook:
    return Webhook(**{**dict(row), "event_types": tuple(row["event_types"])})
