"""Rows of `ledger.commands` in, answers out: a command that comes again gets the same one."""

from collections.abc import Sequence
from typing import Final

import asyncpg
import msgspec

from libs.common.clock import to_rfc3339
from services.ledger.domain.run import CommandAnswer
from services.ledger.domain.transfer import NO_FACTS

_COLUMNS: Final = "command_id::text, kind, subject_id::text, status, code, facts::text, journal_index, decided_at"
_BY_ID: Final = f"SELECT {_COLUMNS} FROM ledger.commands WHERE command_id = ANY($1::uuid[])"  # noqa: S608 -- made of texts written here
_BY_INDEX: Final = f"""
SELECT {_COLUMNS} FROM ledger.commands WHERE shard = $1 AND journal_index = ANY($2::bigint[])
"""  # noqa: S608 -- made of texts written here
_decode_facts = msgspec.json.Decoder(dict[str, int | str]).decode


async def load_commands(connection: asyncpg.Connection, command_ids: Sequence[str]) -> dict[str, CommandAnswer]:
    """Return those of the commands that were decided before, by id."""
    return {row[0]: _answer(row) for row in await connection.fetch(_BY_ID, command_ids)}


async def load_commands_at(
    connection: asyncpg.Connection, shard: int, indexes: Sequence[int]
) -> dict[int, CommandAnswer]:
    """Return the commands that these records prove, by index."""
    return {row[6]: _answer(row) for row in await connection.fetch(_BY_INDEX, shard, indexes)}


def _answer(row: asyncpg.Record) -> CommandAnswer:
    facts = NO_FACTS if row[5] is None else _decode_facts(row[5])
    return CommandAnswer(row[0], row[1], row[2], row[3], row[4], facts, row[6], to_rfc3339(row[7]))
