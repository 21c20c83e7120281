"""That somebody lets a halted shard go on: a record of its own."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from libs.common.audit.audit_log import append_entries, audit_recorded
from libs.common.contracts.audit import AuditEntry
from libs.common.db.hot import HotConnection
from libs.common.errors import Conflict, NotFound
from libs.common.messaging.outbox import Outbox, OutboxRow
from libs.common.messaging.outgoing_message import Outgoing
from services.ledger.store.heads import JournalHead
from services.ledger.store.lone_records import LoneRecord, append_record, lock_head
from services.ledger.store.verifications import OpenFinding, load_open_finding

_RELEASE: Final = """
INSERT INTO ledger.releases (finding_id, actor_id, reason, salt, shard, journal_index, released_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_OTHERS: Final = """
SELECT count(*) FROM ledger.findings f LEFT JOIN ledger.releases r ON r.finding_id = f.finding_id
WHERE f.shard = $1 AND r.finding_id IS NULL
"""


class Release(NamedTuple):
    """A release as it is decided: its record, who and why, and what is said about it."""

    record: LoneRecord
    actor_id: str
    reason: str
    salt: str
    recorded_at: datetime
    say: Callable[[int], Outgoing]
    """Is told how many findings still halt the shard."""
    entry: AuditEntry


async def write_release(
    hot: HotConnection,
    outbox: Outbox,
    shard: int,
    finding_id: str,
    decide: Callable[[OpenFinding, JournalHead], Release],
) -> tuple[int, OutboxRow]:
    """Write what `decide` makes of the finding and the halted head. Returns how many findings still halt the shard.

    Locks: the head. Commits: record, block, tiles, checkpoint, head, release, audit entry and the outbox row, which
    is returned to be published. Raises: NotFound (finding_not_found); Conflict (ledger_not_halted); Unavailable.
    """
    async with hot.transaction() as connection:
        finding = await load_open_finding(connection, shard, finding_id)
        if finding is None:
            raise NotFound("finding_not_found", "There is no such finding, or it was released before.")
        head, halted = await lock_head(connection, shard)
        if not halted:
            raise Conflict("ledger_not_halted", "The shard is not halted.")
        release = decide(finding, head)
        index = release.record.after.size - 1
        await connection.execute(
            _RELEASE,
            finding_id,
            release.actor_id,
            release.reason,
            release.salt,
            shard,
            index,
            release.recorded_at,
        )
        others: int = await connection.fetchval(_OTHERS, shard)
        await append_record(connection, shard, release.record, release.recorded_at, halted=others > 0)
        await append_entries(connection, outbox.schema, [release.entry])
        row = outbox.row([release.say(others), audit_recorded(outbox.schema, [release.entry])])
        await outbox.insert(connection, row)
    return others, row
