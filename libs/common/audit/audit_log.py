"""A service's audit log: how entries get into it and are said to the collector, and said again."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Final

import asyncpg

from libs.common.audit.entry import COLUMNS, as_row, from_row
from libs.common.contracts.audit import AuditEntry, AuditRecorded
from libs.common.contracts.topics import audit_entries_of
from libs.common.db.hot import HotConnection
from libs.common.ids import first_id_at
from libs.common.messaging.outbox import Outbox
from libs.common.messaging.outgoing_message import Outgoing, outgoing
from libs.common.telemetry.metrics import AUDIT_ENTRIES

ENTRIES_MAX: Final = 100
"""Entries of one message."""
_SETTLED: Final = timedelta(minutes=2)
"""No transaction that made an id is still open after this."""

# An entry that is written again, because nobody knows whether its commit went through, is the same entry.
_APPEND: Final = """
INSERT INTO {schema}.audit_log ({columns}) SELECT * FROM unnest({arrays})
ON CONFLICT ON CONSTRAINT audit_log_pkey DO NOTHING
"""
_UNREPEATED: Final = """
SELECT {columns} FROM {schema}.audit_log
WHERE entry_id > (SELECT upto FROM {schema}.audit_repeats) AND entry_id < $1 ORDER BY entry_id LIMIT $2
"""
_ADVANCE: Final = "UPDATE {schema}.audit_repeats SET upto = $1 WHERE upto < $1 RETURNING true"


async def append_entries(connection: asyncpg.Connection, service: str, entries: Sequence[AuditEntry]) -> None:
    """Append entries in the caller's transaction, who then says them to the collector. Idempotent by: entry id.

    Counted here: an entry whose transaction fails counts, too, and again with its next try.
    """
    rows = [as_row(entry) for entry in entries]
    await connection.execute(_append_sql(service), *([row[name] for row in rows] for name in COLUMNS))
    for entry in entries:
        AUDIT_ENTRIES.labels(entry.service, entry.action, entry.outcome).inc()


def audit_recorded(service: str, entries: Sequence[AuditEntry]) -> Outgoing:
    """Return the message that tells the collector of entries, one to a hundred, once they are committed."""
    return outgoing(audit_entries_of(service), entries[0].entry_id, AuditRecorded(entries=tuple(entries)))


@cache
def _append_sql(service: str) -> str:
    types = ("uuid[]", "timestamptz[]", *["text[]"] * (len(COLUMNS) - 2))
    arrays = ", ".join(f"${number}::{kind}" for number, kind in enumerate(types, start=1))
    return _APPEND.format(schema=service, columns=", ".join(COLUMNS), arrays=arrays)


class AuditLog:
    """The table `<service>.audit_log`, by a connection of its own."""

    def __init__(self, service: str, dsn: str, outbox: Outbox) -> None:
        """Nothing is opened yet."""
        self.service: Final = service
        self._hot = HotConnection(dsn, f"{service}-audit")
        self._outbox = outbox
        self._unrepeated_sql = _UNREPEATED.format(schema=service, columns=", ".join(COLUMNS))
        self._advance_sql = _ADVANCE.format(schema=service)

    async def close(self) -> None:
        """Disconnect."""
        await self._hot.close()

    async def append(
        self,
        entries: Sequence[AuditEntry],
        before: Callable[[asyncpg.Connection], Awaitable[None]] | None = None,
    ) -> None:
        """Append entries, one to a hundred, and what they tell of `before` them, in one transaction.

        Idempotent by: entry id. Emits: AuditRecorded. Raises: Unavailable.
        """
        # tidy: allow commit-outside-unit-of-work: what it tells of had no transaction, or was refused one
        async with self._hot.transaction() as connection:
            if before is not None:
                await before(connection)
            await append_entries(connection, self.service, entries)
            row = self._outbox.row([audit_recorded(self.service, entries)])
            await self._outbox.insert(connection, row)
        await self._outbox.publish(row)

    async def repeat(self, now: datetime) -> bool:
        """Say entries again that are some minutes old, a hundred at most; return whether there may be more.

        A broker may have forgotten what it acknowledged before the collector read it. Emits: AuditRecorded. Raises:
        Unavailable.
        """
        # tidy: allow commit-outside-unit-of-work: as above; the mark and the message commit together
        async with self._hot.transaction() as connection:
            found = await connection.fetch(self._unrepeated_sql, first_id_at(now - _SETTLED), ENTRIES_MAX)
            entries = [from_row(self.service, row) for row in found]
            if not entries or not await connection.fetchval(self._advance_sql, entries[-1].entry_id):
                return False
            row = self._outbox.row([audit_recorded(self.service, entries)])
            await self._outbox.insert(connection, row)
        await self._outbox.publish(row)
        return len(entries) == ENTRIES_MAX
