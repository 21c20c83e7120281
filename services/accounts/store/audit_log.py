"""What staff changed about whom, appended and never touched again."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.ids import new_id
from services.accounts.store.tables import AUDIT_LOG


async def append_audit_entry(
    connection: AsyncConnection,
    *,
    at: datetime,
    actor_id: str,
    action: str,
    subject_id: str,
    before: Mapping[str, object],
    after: Mapping[str, object],
    request_id: str,
) -> None:
    """Append one entry; it commits with the change it tells of, or not at all."""
    await connection.execute(
        insert(AUDIT_LOG).values(
            entry_id=new_id(),
            at=at,
            actor_id=actor_id,
            action=action,
            subject_id=subject_id,
            before=dict(before),
            after=dict(after),
            request_id=request_id,
        )
    )
