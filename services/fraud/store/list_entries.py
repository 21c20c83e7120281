"""`fraud.list_entries`: who is frozen, denied, allowed or snoozed. An entry is kept for ever and removed once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from services.fraud.domain.list_entries import ListEntry
from services.fraud.domain.lists import Entry, ListName
from services.fraud.domain.moments import to_us

_COLUMNS: Final = """entry_id::text, list, subject, value, other, rule_id, reason, added_by, added_at, expires_at,
                     removed_by, removed_at, removed_because"""
_INSERT: Final = """
    INSERT INTO fraud.list_entries (entry_id, list, subject, value, other, rule_id, reason, added_by, added_at,
                                    expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
_REMOVE: Final = """
    UPDATE fraud.list_entries SET removed_by = $2, removed_at = $3, removed_because = $4 WHERE entry_id = $1
"""
_STANDING: Final = """
    SELECT count(*) FROM fraud.list_entries WHERE removed_at IS NULL AND (expires_at IS NULL OR expires_at > $1)
"""
_AGAINST_SENDERS: Final = """
    SELECT entry_id::text, list, subject, value, rule_id, expires_at FROM fraud.list_entries
    WHERE value = ANY($1::text[]) AND list IN ('freeze', 'deny') AND subject IN ('customer', 'sender')
        AND removed_at IS NULL
"""
_LOCK: Final = f"SELECT {_COLUMNS} FROM fraud.list_entries WHERE entry_id = $1 FOR UPDATE"  # noqa: S608 -- written here
_PAGE: Final = f"""
    SELECT {_COLUMNS} FROM fraud.list_entries
    WHERE entry_id < $1 AND ($2::text IS NULL OR list = $2) AND ($3::text IS NULL OR value = $3 OR other = $3)
        AND value <> $7 AND other IS DISTINCT FROM $7
        AND (NOT $4 OR (removed_at IS NULL AND (expires_at IS NULL OR expires_at > $5)))
    ORDER BY entry_id DESC LIMIT $6
"""  # noqa: S608 -- as above


async def count_standing(connection: asyncpg.Connection, now: datetime) -> int:
    """Return how many entries stand."""
    standing: int = await connection.fetchval(_STANDING, now)
    return standing


async def insert_entry(connection: asyncpg.Connection, entry: ListEntry) -> None:
    """Keep a new entry."""
    await connection.execute(
        _INSERT,
        entry.entry_id,
        entry.list,
        entry.subject,
        entry.value,
        entry.other,
        entry.rule_id,
        entry.reason,
        entry.added_by,
        entry.added_at,
        entry.expires_at,
    )


async def entries_against_senders(connection: asyncpg.Connection, user_ids: Sequence[str]) -> list[Entry]:
    """Return what forbids any of these to move money, ended or not: who is none of them is not looked up at all."""
    return [
        Entry(entry_id, name, subject, value, rule_id, to_us(ends) if ends else 0)
        for entry_id, name, subject, value, rule_id, ends in await connection.fetch(_AGAINST_SENDERS, user_ids)
    ]


async def lock_entry(connection: asyncpg.Connection, entry_id: str) -> ListEntry | None:
    """Return an entry and keep others from removing it until the commit."""
    row = await connection.fetchrow(_LOCK, entry_id)
    return None if row is None else ListEntry(*row)


async def remove_entry(connection: asyncpg.Connection, entry_id: str, by: str, at: datetime, because: str) -> None:
    """Note that an entry stands no more."""
    await connection.execute(_REMOVE, entry_id, by, at, because)


async def list_entries(
    connection: asyncpg.Connection,
    *,
    below: int,
    name: ListName | None,
    value: str | None,
    standing: bool,
    now: datetime,
    limit: int,
    reader_id: str,
) -> list[ListEntry]:
    """Return a page of entries, newest first; `below` is the id of the last one before, as an integer.

    Those about the reader himself are left out: nobody is told what he is suspected of.
    """
    rows = await connection.fetch(_PAGE, str(UUID(int=below)), name, value, standing, now, limit, reader_id)
    return [ListEntry(*row) for row in rows]
