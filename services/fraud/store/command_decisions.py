"""`fraud.command_decisions`: what was decided on captures and reversals, for ever."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple

import asyncpg

MovingCommand = Literal["capture", "reversal"]

# Two that decide on the same at once meet here: the later one waits for the earlier one's commit, and keeps nothing.
_KEEP: Final = """
    INSERT INTO fraud.command_decisions (command_id, transfer_id, actor_id, command, code, denied_by, decided_at)
    SELECT c.command_id, c.transfer_id, c.actor_id, c.command, c.code, string_to_array(c.denied_by, ',')::uuid[], $7
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[])
        AS c (command_id, transfer_id, actor_id, command, code, denied_by)
    ORDER BY c.command_id
    ON CONFLICT (command_id) DO NOTHING
    RETURNING command_id::text
"""
_FIND: Final = """
    SELECT command_id::text, code, decided_at FROM fraud.command_decisions WHERE command_id = ANY($1::uuid[])
"""


class CommandDecision(NamedTuple):
    """What is decided on a command: `code` is empty where it may go on, and `denied_by` the entries that forbid it."""

    command_id: str
    transfer_id: str
    actor_id: str
    command: MovingCommand
    code: str
    denied_by: Sequence[str]


async def keep_command_decisions(
    connection: asyncpg.Connection, decisions: Sequence[CommandDecision], at: datetime
) -> set[str]:
    """Keep those on commands that were not decided before; return the ids of these. Locks: them, in order."""
    columns = [
        [one.command_id for one in decisions],
        [one.transfer_id for one in decisions],
        [one.actor_id for one in decisions],
        [one.command for one in decisions],
        [one.code for one in decisions],
        [",".join(one.denied_by) for one in decisions],
    ]
    return {row[0] for row in await connection.fetch(_KEEP, *columns, at)}


async def find_command_decisions(
    connection: asyncpg.Connection, command_ids: Sequence[str]
) -> dict[str, tuple[str, datetime]]:
    """Return command id → its code, empty where it may go on, and when that was decided; of those that are known."""
    return {row[0]: (row[1], row[2]) for row in await connection.fetch(_FIND, command_ids)}
