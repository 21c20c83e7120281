"""Which files of documents there may be: each is in `kyc.document_files` before its first byte is written.

So no file is ever looked for: what a process left behind that died, and what a removed document had, is known here.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.errors import Unavailable
from services.kyc.store.document_tables import DOCUMENT_FILES

_FILE: Final = DOCUMENT_FILES.c


async def begin_file(connection: AsyncConnection, document_id: str, now: datetime) -> None:
    """Say that a file is about to be written."""
    await connection.execute(insert(DOCUMENT_FILES).values(document_id=document_id, begun_at=now))


async def keep_file(connection: AsyncConnection, document_id: str, now: datetime) -> None:
    """Say that a file is whole and a document has it. Raises: Unavailable if it was condemned in the meantime."""
    statement = update(DOCUMENT_FILES).where(_FILE.document_id == document_id, _FILE.condemned_at.is_(None))
    if (await connection.execute(statement.values(stored_at=now))).rowcount == 0:
        raise Unavailable("service_unavailable", "The document took too long to arrive; send it again.")


async def condemn_files(connection: AsyncConnection, document_ids: Sequence[str], now: datetime) -> None:
    """Say that nobody needs these files any more."""
    statement = update(DOCUMENT_FILES).where(_FILE.document_id.in_(document_ids), _FILE.condemned_at.is_(None))
    await connection.execute(statement.values(condemned_at=now))


async def condemn_unfinished(connection: AsyncConnection, begun_before: datetime, now: datetime) -> None:
    """Say so of files that were begun before this moment and that no document has got: their process has died."""
    statement = update(DOCUMENT_FILES).where(
        # All of it is told by the row itself, so that it is asked again when the row was locked by `keep_file`.
        _FILE.stored_at.is_(None),
        _FILE.condemned_at.is_(None),
        _FILE.begun_at < begun_before,
    )
    await connection.execute(statement.values(condemned_at=now))


async def find_condemned(connection: AsyncConnection, limit: int) -> Sequence[str]:
    """Return files that nobody needs and that may still be there, the longest condemned first."""
    statement = select(_FILE.document_id).where(_FILE.condemned_at.is_not(None), _FILE.deleted_at.is_(None))
    return list((await connection.execute(statement.order_by(_FILE.condemned_at).limit(limit))).scalars())


async def mark_deleted(connection: AsyncConnection, document_ids: Sequence[str], now: datetime) -> None:
    """Say that these files are gone."""
    statement = update(DOCUMENT_FILES).where(_FILE.document_id.in_(document_ids))
    await connection.execute(statement.values(deleted_at=now))
