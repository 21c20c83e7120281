"""What goes when a customer was erased: `gateway.erased_customers` says who, and opens the door to what he wrote."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_NOTE: Final = text("""
INSERT INTO gateway.erased_customers (user_id, noted_at)
SELECT user_id, :now FROM unnest(CAST(:user_ids AS uuid[])) AS user_id ON CONFLICT (user_id) DO NOTHING
""")
_DELETE_WEBHOOKS: Final = text("""
WITH gone AS (DELETE FROM gateway.webhooks WHERE user_id = ANY (CAST(:user_ids AS uuid[])) RETURNING webhook_id)
DELETE FROM gateway.webhook_deliveries d USING gone WHERE d.webhook_id = gone.webhook_id
""")
_FORGET_TEXTS: Final = text("""
SELECT gateway.forget_memos_of(CAST(:user_id AS uuid), :most), gateway.forget_reasons_of(CAST(:user_id AS uuid), :most)
""")


async def note_erased(connection: AsyncConnection, user_ids: Sequence[str], now: datetime) -> None:
    """Keep that they were erased, for ever: without it what they wrote cannot be forgotten."""
    await connection.execute(_NOTE, {"user_ids": list(user_ids), "now": now})


async def delete_webhooks_of(connection: AsyncConnection, user_ids: Sequence[str]) -> None:
    """Forget where their events were sent, with the secrets, and what was sent."""
    await connection.execute(_DELETE_WEBHOOKS, {"user_ids": list(user_ids)})


async def forget_texts(connection: AsyncConnection, user_id: str, most: int) -> bool:
    """Forget a piece of what an erased customer wrote on transfers, with its salts; tell whether more may be left."""
    memos, reasons = (await connection.execute(_FORGET_TEXTS, {"user_id": user_id, "most": most})).one()
    return most in {memos, reasons}
