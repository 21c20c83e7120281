"""Completed verifications, findings, and the switch that stops a shard."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from libs.common.db.hot import HotConnection
from libs.common.ids import new_id
from libs.common.messaging.outbox import Outbox, OutboxRow
from libs.common.messaging.outgoing_message import Outgoing

_INSERT: Final = """
INSERT INTO ledger.verifications
    (verification_id, shard, scope, subject_id, size, records, findings, note, finished_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_NEWEST_FULL: Final = "SELECT max(finished_at) FROM ledger.verifications WHERE shard = $1 AND scope = 'full'"
_FINDINGS: Final = """
INSERT INTO ledger.findings (finding_id, shard, digest, document, found_at)
SELECT v.finding_id, $1, v.digest, v.document, $2
FROM unnest($3::uuid[], $4::text[], $5::bytea[]) AS v (finding_id, digest, document)
ON CONFLICT ON CONSTRAINT findings_same_once DO NOTHING
"""
_KNOWN: Final = """
SELECT f.digest, f.finding_id::text, r.finding_id IS NOT NULL AS is_released
FROM ledger.findings f LEFT JOIN ledger.releases r ON r.finding_id = f.finding_id
WHERE f.shard = $1 AND f.digest = ANY($2::text[])
"""
_OPEN: Final = """
SELECT f.finding_id::text, f.digest, f.document, f.found_at
FROM ledger.findings f LEFT JOIN ledger.releases r ON r.finding_id = f.finding_id
WHERE f.shard = $1 AND r.finding_id IS NULL ORDER BY f.found_at, f.finding_id LIMIT $2
"""
_ONE: Final = """
SELECT f.finding_id::text, f.digest, f.document, f.found_at
FROM ledger.findings f LEFT JOIN ledger.releases r ON r.finding_id = f.finding_id
WHERE f.shard = $1 AND f.finding_id = $2 AND r.finding_id IS NULL
"""
_HALT: Final = "UPDATE ledger.heads SET halted = true WHERE shard = $1 AND NOT halted"
_TOLD_MAX: Final = 50
_IS_HALTED: Final = "SELECT halted FROM ledger.heads WHERE shard = $1"


class KnownFinding(NamedTuple):
    """A finding as it is kept: whether the shard goes on in spite of it, and whether this is its first sighting."""

    finding_id: str
    is_released: bool
    is_new: bool


class OpenFinding(NamedTuple):
    """A finding that nobody has released; `document` is its JSON."""

    finding_id: str
    digest: str
    document: bytes
    found_at: datetime


class NewVerification(NamedTuple):
    """A verification that has ended. `note` is the signed state it leaves behind if nothing halts the shard."""

    verification_id: str
    scope: str
    subject_id: str
    size: int
    records: int
    findings: Mapping[str, bytes]
    """digest → JSON"""
    note: str | None
    finished_at: datetime


async def write_verification(
    hot: HotConnection,
    outbox: Outbox,
    shard: int,
    new: NewVerification,
    say: Callable[[list[OpenFinding]], list[Outgoing]],
) -> tuple[dict[str, KnownFinding], OutboxRow | None]:
    """Write it; halt the shard on a finding that nobody has released, and store what is to be said of all of those.

    Returns what is known of each finding, by digest. Commits: verification, new findings, halt and the outbox row,
    which is returned to be published. Raises: Unavailable.
    """
    row = None
    async with hot.transaction() as connection:
        known = await _write_findings(connection, shard, new) if new.findings else {}
        halting = {digest: one for digest, one in known.items() if not one.is_released}
        await connection.execute(
            _INSERT,
            new.verification_id,
            shard,
            new.scope,
            new.subject_id,
            new.size,
            new.records,
            len(new.findings),
            None if halting else new.note,
            new.finished_at,
        )
        if halting:
            await connection.execute(_HALT, shard)
        still_open = await load_open_findings(connection, shard, _TOLD_MAX)
        if still_open:
            row = outbox.row(say(still_open))
            await outbox.insert(connection, row)
    return known, row


async def _write_findings(connection: asyncpg.Connection, shard: int, new: NewVerification) -> dict[str, KnownFinding]:
    ids = {digest: new_id() for digest in new.findings}
    columns = (list(ids.values()), list(new.findings), list(new.findings.values()))
    await connection.execute(_FINDINGS, shard, new.finished_at, *columns)
    rows = await connection.fetch(_KNOWN, shard, list(new.findings))
    return {row[0]: KnownFinding(row[1], row[2], is_new=ids[row[0]] == row[1]) for row in rows}


async def would_halt(hot: HotConnection, shard: int, digests: Sequence[str]) -> bool:
    """Tell whether the shard is halted, or will be once these findings are written. Raises: Unavailable."""
    async with hot.autocommit() as connection:
        released = {row[0] for row in await connection.fetch(_KNOWN, shard, list(digests)) if row[2]}
        return not released.issuperset(digests) or await is_halted(connection, shard)


async def load_newest_full(connection: asyncpg.Connection, shard: int) -> datetime | None:
    """Return when the last full verification ended."""
    newest: datetime | None = await connection.fetchval(_NEWEST_FULL, shard)
    return newest


async def load_open_findings(connection: asyncpg.Connection, shard: int, limit: int) -> list[OpenFinding]:
    """Return the findings that nobody has released, oldest first."""
    return [OpenFinding(*row) for row in await connection.fetch(_OPEN, shard, limit)]


async def load_open_finding(connection: asyncpg.Connection, shard: int, finding_id: str) -> OpenFinding | None:
    """Return a finding unless it is unknown or released."""
    row = await connection.fetchrow(_ONE, shard, finding_id)
    return None if row is None else OpenFinding(*row)


async def is_halted(connection: asyncpg.Connection, shard: int) -> bool:
    """Tell whether the shard is stopped."""
    return bool(await connection.fetchval(_IS_HALTED, shard))
