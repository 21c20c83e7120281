"""`gateway.commands`: what was asked about transfers and accounts that are there already."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from services.gateway.domain.outcomes import Outcome, accepted
from services.gateway.store.outcome_rows import outcome_from

CommandKey = tuple[str, str, str]
"""(principal id, scope, idempotency key)"""

# With the command goes its place on the list of what is to be sent again, in one statement and so in one commit.
_INSERT = """
WITH stored AS (
    INSERT INTO gateway.commands (command_id, principal_id, scope, idempotency_key, body_hash, subject_id, message,
        memo, memo_salt, accepted_at)
    VALUES ($1::uuid, $2::uuid, $3, $4, $5, $6::uuid, $7, $8, $9, $10)
    ON CONFLICT ON CONSTRAINT commands_idempotency_key_unique DO NOTHING
    RETURNING command_id, accepted_at),
listed AS (
    INSERT INTO gateway.repeats (transfer_id, next_send_at)
    SELECT command_id, accepted_at + make_interval(secs => $11::double precision) FROM stored)
SELECT count(*) FROM stored
"""
_KEPT = """
SELECT c.command_id::text, c.principal_id::text, c.scope, c.idempotency_key, c.body_hash, c.subject_id::text, c.message,
    c.memo, o.status, o.version, o.code, o.reasons, o.facts, o.journal_index, o.occurred_at, o.settlement, o.attempts
FROM gateway.commands c LEFT JOIN gateway.outcomes o ON o.transfer_id = c.command_id
"""
_BY_KEY = _KEPT + "WHERE (c.principal_id, c.scope, c.idempotency_key) = ($1::uuid, $2, $3)"
_REVERSAL = _KEPT + "WHERE c.command_id = $1::uuid AND c.scope = 'reversals'"
_REVERSALS_OF = (
    _KEPT
    + """
WHERE c.subject_id = $1::uuid AND c.scope = 'reversals' AND c.command_id > $2 ORDER BY c.command_id LIMIT $3
"""
)


class NewCommand(msgspec.Struct, gc=False):
    """A command to be kept; `message` is what will be sent, byte for byte."""

    command_id: str
    principal_id: str
    scope: str
    idempotency_key: str
    body_hash: bytes
    subject_id: str
    message: bytes
    memo: bytes | None
    memo_salt: bytes | None


@dataclass(slots=True)
class StoredCommand:
    """A command as it is kept, with what is known to have become of it."""

    command_id: str
    principal_id: str
    scope: str
    idempotency_key: str
    body_hash: bytes
    subject_id: str
    message: bytes
    memo: bytes | None
    outcome: Outcome


async def insert_command(
    connection: asyncpg.Connection, command: NewCommand, accepted_at: datetime, *, repeat_after_seconds: float
) -> bool:
    """Keep the command and list it to be sent again; False, and nothing kept, if its key is known."""
    stored = await connection.fetchval(_INSERT, *msgspec.structs.astuple(command), accepted_at, repeat_after_seconds)
    return bool(stored)


async def find_command(connection: asyncpg.Connection, key: CommandKey) -> StoredCommand | None:
    """Return what is kept under the key."""
    row = await connection.fetchrow(_BY_KEY, *key)
    return None if row is None else _stored(row)


async def find_reversal(connection: asyncpg.Connection, reversal_id: str) -> StoredCommand | None:
    """Return the command whose id a reversal has."""
    row = await connection.fetchrow(_REVERSAL, reversal_id)
    return None if row is None else _stored(row)


async def find_reversals_of(
    connection: asyncpg.Connection, transfer_id: str, *, beyond: UUID, limit: int
) -> list[StoredCommand]:
    """Return the commands that reverse a transfer, those with higher ids than `beyond`, oldest first."""
    return [_stored(row) for row in await connection.fetch(_REVERSALS_OF, transfer_id, beyond, limit)]


def _stored(row: asyncpg.Record) -> StoredCommand:
    outcome = accepted(row[0]) if row["status"] is None else outcome_from((row[0], *tuple(row)[8:]))
    return StoredCommand(row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], outcome)
