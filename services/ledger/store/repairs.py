"""An account's row set back to what its records prove, with the record that says so, in one commit."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from libs.common.audit.audit_log import append_entries
from libs.common.contracts.audit import AuditEntry
from libs.common.db.hot import HotConnection
from libs.common.errors import Conflict
from services.ledger.store.heads import JournalHead
from services.ledger.store.journal_record import RepairedField
from services.ledger.store.lone_records import LoneRecord, append_record, lock_head

_TEXTS: Final = ("status", "asset")
_FIELDS: Final = (
    "posted_minor",
    "pending_in_minor",
    "pending_out_minor",
    "last_seq",
    "status",
    "minimum_minor",
    "maximum_minor",
    "asset",
)
"""What the records prove of an account's row."""
_ROW: Final = f"SELECT {', '.join(_FIELDS)} FROM ledger.accounts WHERE account_id = $1 FOR UPDATE"  # noqa: S608 -- of texts written here
# All at once: each of the proven values may break a rule of the table beside a wrong one. The version makes whoever
# decided on the wrong row decide again.
_SET: Final = """
UPDATE ledger.accounts SET posted_minor = $2, pending_in_minor = $3, pending_out_minor = $4, last_seq = $5, status = $6,
    minimum_minor = $7, maximum_minor = $8, asset = $9, version = version + 1
WHERE account_id = $1
"""
_REPAIR: Final = """
INSERT INTO ledger.repairs (shard, journal_index, account_id, actor_id, reason, salt, repaired_at)
VALUES ($1, $2, $3, nullif($4, '')::uuid, $5, $6, $7)
"""
_SIZE: Final = "SELECT size FROM ledger.heads WHERE shard = $1"


class Repair(NamedTuple):
    """A repair as it is decided: its record, who and why."""

    record: LoneRecord
    actor_id: str
    reason: str
    salt: str
    recorded_at: datetime
    entry: AuditEntry


async def load_size(hot: HotConnection, shard: int) -> int:
    """Return where the journal ends. Raises: Unavailable."""
    async with hot.autocommit() as connection:
        return int(await connection.fetchval(_SIZE, shard))


async def write_repair(
    hot: HotConnection,
    shard: int,
    *,
    size: int,
    account_id: str,
    fields: Sequence[RepairedField],
    decide: Callable[[JournalHead], Repair],
) -> None:
    """Set the fields to what was computed, if the journal still ends at `size` and they are still what was stored.

    Locks: the head, then the account. Commits: the account's row, record, block, tiles, checkpoint, head, repair,
    audit entry. A halted shard stays halted. Raises: Conflict (ledger_moved); Unavailable.
    """
    async with hot.transaction() as connection:
        head, halted = await lock_head(connection, shard)
        if head.size != size:
            raise Conflict("ledger_moved", "The ledger went on since it was verified; nothing was repaired.")
        await _set_fields(connection, account_id, fields)
        repair = decide(head)
        await connection.execute(
            _REPAIR, shard, head.size, account_id, repair.actor_id, repair.reason, repair.salt, repair.recorded_at
        )
        await append_record(connection, shard, repair.record, repair.recorded_at, halted=halted)
        # Nobody publishes it from here: the ledger says each entry again some minutes later, whoever wrote it.
        await append_entries(connection, "ledger", [repair.entry])


async def _set_fields(connection: asyncpg.Connection, account_id: str, fields: Sequence[RepairedField]) -> None:
    row = await connection.fetchrow(_ROW, account_id)
    if row is None or any(str(row[one.field]) != one.stored for one in fields):
        raise Conflict("ledger_moved", "The account is not what was verified any more; nothing was repaired.")
    proven = dict(row)
    for one in fields:
        proven[one.field] = one.computed if one.field in _TEXTS else int(one.computed)
    await connection.execute(_SET, account_id, *(proven[name] for name in _FIELDS))
