"""Documents in and out of `kyc.documents`, and the key of each customer that wraps the keys of his."""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.errors import Conflict
from libs.common.personal.sealing import sealer_of
from services.kyc.domain.documents import Document
from services.kyc.store.document_file_rows import condemn_files
from services.kyc.store.document_tables import DOCUMENT_HOLDERS, DOCUMENTS

_ROW: Final = DOCUMENTS.c
_HOLDER: Final = DOCUMENT_HOLDERS.c


async def lock_holder(connection: AsyncConnection, user_id: str, now: datetime) -> bytes:
    """Return the key that wraps those of the customer's documents, made if there was none.

    Locks: the customer's documents, as long as the transaction lasts. Raises: Conflict `customer_erased`.
    """
    fresh = {"user_id": user_id, "personal_key": sealer_of(connection).new_key(user_id), "created_at": now}
    await connection.execute(upsert(DOCUMENT_HOLDERS).values(fresh).on_conflict_do_nothing())
    statement = select(_HOLDER.personal_key).where(_HOLDER.user_id == user_id).with_for_update()
    key: bytes | None = (await connection.execute(statement)).scalar_one()
    if key is None:
        raise Conflict("customer_erased", "What was known of this customer is destroyed; nothing more is kept.")
    return key


async def taken_places(connection: AsyncConnection, user_id: str) -> set[int]:
    """Return the places that the customer's stored documents have."""
    statement = select(_ROW.place).where(_ROW.user_id == user_id, _ROW.status == "stored")
    return set((await connection.execute(statement)).scalars())


async def insert_document(
    connection: AsyncConnection, document: Document, *, place: int, content_hash: bytes, holder_key: bytes, key: bytes
) -> None:
    """Store a document whose file is whole, with its key sealed under the customer's."""
    meaning = _field_of(document.document_id)
    sealed = sealer_of(connection).seal(holder_key, document.user_id, meaning, base64.b64encode(key).decode())
    await connection.execute(
        insert(DOCUMENTS).values(
            document_id=document.document_id,
            user_id=document.user_id,
            kind=document.kind,
            status=document.status,
            place=place,
            content_type=document.content_type,
            bytes=document.bytes,
            pages=document.pages,
            content_hash=content_hash,
            key_sealed=sealed,
            created_at=document.created_at,
        )
    )


async def others_with(connection: AsyncConnection, content_hash: bytes, user_id: str, limit: int) -> Sequence[str]:
    """Return other customers who have sent the same content, removed or not, whoever is erased left out.

    Locks: the content, so that of two who send it at once one sees the other.
    """
    lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:content, 0))")
    await connection.execute(lock, {"content": "kyc.documents\n" + content_hash.hex()})
    statement = select(_ROW.user_id).where(_ROW.content_hash == content_hash, _ROW.user_id != user_id)
    return list((await connection.execute(statement.distinct().order_by(_ROW.user_id).limit(limit))).scalars())


async def find_document(connection: AsyncConnection, user_id: str, document_id: str) -> Document | None:
    """Return a document of this customer."""
    statement = select(DOCUMENTS).where(_ROW.document_id == document_id, _ROW.user_id == user_id)
    row = (await connection.execute(statement)).first()
    return _document(row) if row else None


async def find_key(connection: AsyncConnection, document: Document) -> bytes | None:
    """Return the key that opens the document's file; None once it was destroyed. Raises: InvariantBroken."""
    statement = (
        select(_HOLDER.personal_key, _ROW.key_sealed)
        .join(DOCUMENT_HOLDERS, _HOLDER.user_id == _ROW.user_id)
        .where(_ROW.document_id == document.document_id)
    )
    row = (await connection.execute(statement)).one()
    if row.personal_key is None or row.key_sealed is None:
        return None
    meaning = _field_of(document.document_id)
    return base64.b64decode(
        sealer_of(connection).open(row.personal_key, document.user_id, meaning, row.key_sealed), validate=True
    )


async def read_documents(connection: AsyncConnection, user_id: str, before: str, limit: int) -> Sequence[Document]:
    """Return the customer's documents before this id, newest first, those that were removed, too."""
    statement = select(DOCUMENTS).where(_ROW.user_id == user_id, _ROW.document_id < before)
    rows = await connection.execute(statement.order_by(_ROW.document_id.desc()).limit(limit))
    return [_document(row) for row in rows]


async def count_document_changes(connection: AsyncConnection, user_id: str) -> int:
    """Return how often the customer's documents have changed: each was sent once, and may have been removed once.

    One that commits later came later: nobody has looked at it, nor decided by it.
    """
    statement = select(func.count() + func.count(_ROW.removed_at)).where(_ROW.user_id == user_id)
    return int((await connection.execute(statement)).scalar_one())


async def remove_document(connection: AsyncConnection, document_id: str, now: datetime) -> bool:
    """Destroy the key of a stored document, and condemn its file; return whether it was stored."""
    statement = update(DOCUMENTS).where(_ROW.document_id == document_id, _ROW.status == "stored")
    done = await connection.execute(statement.values(status="removed", removed_at=now, key_sealed=None))
    await condemn_files(connection, [document_id], now)
    return done.rowcount > 0


async def erase_documents(connection: AsyncConnection, user_ids: Sequence[str], now: datetime) -> None:
    """Destroy the keys of these customers' documents, and by what those are recognised; nothing is kept of them anew.

    Locks: their documents. Idempotent by: user_id.
    """
    if not user_ids:
        return
    tombstones = [{"user_id": user_id, "created_at": now, "erased_at": now} for user_id in user_ids]
    statement = upsert(DOCUMENT_HOLDERS).values(tombstones)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[_HOLDER.user_id],
            set_={"personal_key": None, "erased_at": func.coalesce(_HOLDER.erased_at, now)},
            where=_HOLDER.erased_at.is_(None),
        )
    )
    known = update(DOCUMENTS).where(_ROW.user_id.in_(user_ids), _ROW.content_hash.is_not(None))
    gone = await connection.execute(
        known.values(
            status="removed", key_sealed=None, content_hash=None, removed_at=func.coalesce(_ROW.removed_at, now)
        ).returning(_ROW.document_id)
    )
    await condemn_files(connection, list(gone.scalars()), now)


def _field_of(document_id: str) -> str:
    return f"document|{document_id}"


def _document(row: Row[*tuple[Any, ...]]) -> Document:
    return Document(
        document_id=row.document_id,
        user_id=row.user_id,
        kind=row.kind,
        status=row.status,
        content_type=row.content_type,
        bytes=row.bytes,
        pages=row.pages,
        created_at=row.created_at,
        removed_at=row.removed_at,
    )
