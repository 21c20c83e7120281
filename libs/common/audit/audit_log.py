"""A service's audit log, appended to outside of any use case, and said again to the collector."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg

from libs.common.audit.entry import COLUMNS, as_row, from_row
from libs.common.contracts.audit import AuditEntry, AuditRecorded
from libs.common.contracts.topics import audit_entries_of
from libs.common.db.hot import HotConnection
from libs.common.ids import first_id_at
from libs.common.messaging.outbox import Outbox, OutboxRow
from libs.common.messaging.outgoing_message import outgoing
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


class AuditLog:
    """The table `<service>.audit_log`, by a connection of its own."""

    def __init__(self, service: str, dsn: str, outbox: Outbox) -> None:
        """Nothing is opened yet."""
        self.service: Final = service
        self._hot = HotConnection(dsn, f"{service}-audit")
        self._outbox = outbox
        types = ("uuid[]", "timestamptz[]", *["text[]"] * (len(COLUMNS) - 2))
        arrays = ", ".join(f"${number}::{kind}" for number, kind in enumerate(types, start=1))
        names = ", ".join(COLUMNS)
        self._append_sql = _APPEND.format(schema=service, columns=names, arrays=arrays)
        self._unrepeated_sql = _UNREPEATED.format(schema=service, columns=names)
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
        rows = [as_row(entry) for entry in entries]
        # tidy: allow commit-outside-unit-of-work: what it tells of had no transaction, or was refused one
        async with self._hot.transaction() as connection:
            if before is not None:
                await before(connection)
            await connection.execute(self._append_sql, *([row[name] for row in rows] for name in COLUMNS))
            row = await self._leave(connection, entries)
        await self._outbox.publish(row)
        for entry in entries:
            AUDIT_ENTRIES.labels(entry.service, entry.action, entry.outcome).inc()

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
            row = await self._leave(connection, entries)
        await self._outbox.publish(row)
        return len(entries) == ENTRIES_MAX

    async def _leave(self, connection: asyncpg.Connection, entries: Sequence[AuditEntry]) -> OutboxRow:
        message: Any = AuditRecorded(entries=tuple(entries))
        row = self._outbox.row([outgoing(audit_entries_of(self.service), entries[0].entry_id, message)])
        await self._outbox.insert(connection, row)
        return row
