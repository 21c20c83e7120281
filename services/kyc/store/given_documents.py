"""Which kinds of documents a customer has given: a tier, or an answer to a reviewer, depends on it."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kyc.store.document_tables import DOCUMENTS


async def find_given_kinds(connection: AsyncConnection, user_id: str, *, since: datetime | None = None) -> set[str]:
    """Return the kinds of which a document is stored; with a moment, those sent at it or later."""
    row = DOCUMENTS.c
    statement = select(row.kind).where(row.user_id == user_id, row.status == "stored").distinct()
    if since is not None:
        statement = statement.where(row.created_at >= since)
    return set((await connection.execute(statement)).scalars())
