"""What goes when a customer was erased: `fraud.erased_customers` says who, and opens the door to words about him."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg

from libs.common.ids import is_id

_NOTE: Final = """
    INSERT INTO fraud.erased_customers (user_id, noted_at)
    SELECT user_id, $2 FROM unnest($1::uuid[]) AS user_id ON CONFLICT (user_id) DO NOTHING
"""
_FORGET_WORDS: Final = "SELECT fraud.forget_words_about($1::uuid, $2)"
_FORGET_ORIGINS: Final = """
    DELETE FROM fraud.activity WHERE ctid = ANY(ARRAY(SELECT ctid FROM fraud.activity WHERE payer_id = $1 LIMIT $2))
"""
# Who put him on a list was answered with what he wrote. The primary key finds that officer's answers.
_ENTRIES: Final = """
    SELECT added_by, entry_id::text FROM fraud.list_entries WHERE value = $1
    UNION SELECT added_by, entry_id::text FROM fraud.list_entries WHERE other <> '' AND other = $1
"""
_FORGET_ANSWERS: Final = """
    DELETE FROM fraud.kept_answers k USING unnest($1::uuid[], $2::text[]) AS e (added_by, entry_id)
    WHERE k.principal_id = e.added_by AND k.route = 'POST /api/v1/admin/fraud/lists'
        AND strpos(convert_from(k.body, 'UTF8'), e.entry_id) > 0
"""


async def note_erased(connection: asyncpg.Connection, user_ids: Sequence[str], now: datetime) -> None:
    """Keep that they were erased, for ever: without it what was written about them cannot be forgotten."""
    await connection.execute(_NOTE, user_ids, now)


async def forget_words(connection: asyncpg.Connection, user_id: str, *, limit: int) -> bool:
    """Forget a piece of what people wrote about an erased customer; tell whether more may be left."""
    forgotten: int = await connection.fetchval(_FORGET_WORDS, user_id, limit)
    return forgotten == limit


async def forget_answers(connection: asyncpg.Connection, user_id: str) -> None:
    """Forget what those were answered who put an erased customer on a list."""
    by_people = [(by, entry_id) for by, entry_id in await connection.fetch(_ENTRIES, user_id) if is_id(by)]
    if by_people:
        await connection.execute(_FORGET_ANSWERS, *zip(*by_people, strict=True))


async def forget_origins(connection: asyncpg.Connection, user_id: str, *, limit: int) -> bool:
    """Delete a piece of what he sent, from which address and device; tell whether more may be left."""
    tag: str = await connection.execute(_FORGET_ORIGINS, user_id, limit)
    return int(tag.rpartition(" ")[2]) == limit
