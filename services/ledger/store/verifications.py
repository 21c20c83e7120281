"""Completed verifications, findings, and the switch that stops a shard."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

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
SELECT f.digest, f.finding_id::text, r.finding_id IS NOT NULL AS is_released, f.document
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
_IS_HALTED: Final = "SELECT halted FROM ledger.heads WHERE shard = $1"


class KnownFinding(NamedTuple):
    """A finding of before, and whether the shard goes on in spite of it."""

    finding_id: str
    is_released: bool


class OpenFinding(NamedTuple):
    """A finding that nobody has released; `document` is its JSON."""

    finding_id: str
    digest: str
    document: bytes
    found_at: datetime


async def write_verification(connection: asyncpg.Connection, row: Sequence[object]) -> None:
    """Write one row: id, shard, scope, subject, size, records, findings, note, time."""
    await connection.execute(_INSERT, *row)


async def load_newest_full(connection: asyncpg.Connection, shard: int) -> datetime | None:
    """Return when the last full verification ended."""
    newest: datetime | None = await connection.fetchval(_NEWEST_FULL, shard)
    return newest


async def write_findings(
    connection: asyncpg.Connection, shard: int, found_at: datetime, findings: Mapping[str, tuple[str, bytes]]
) -> dict[str, KnownFinding]:
    """Write those that are new: digest → (id, JSON). Returns what is known of every one, by digest."""
    ids, documents = zip(*findings.values(), strict=True)
    await connection.execute(_FINDINGS, shard, found_at, list(ids), list(findings), list(documents))
    rows = await connection.fetch(_KNOWN, shard, list(findings))
    return {row[0]: KnownFinding(row[1], row[2]) for row in rows}


async def load_released(connection: asyncpg.Connection, shard: int, digests: Sequence[str]) -> set[str]:
    """Return those of the digests in spite of which the shard goes on."""
    return {row[0] for row in await connection.fetch(_KNOWN, shard, digests) if row[2]}


async def load_open_findings(connection: asyncpg.Connection, shard: int, limit: int) -> list[OpenFinding]:
    """Return the findings that nobody has released, oldest first."""
    return [OpenFinding(*row) for row in await connection.fetch(_OPEN, shard, limit)]


async def load_open_finding(connection: asyncpg.Connection, shard: int, finding_id: str) -> OpenFinding | None:
    """Return a finding unless it is unknown or released."""
    row = await connection.fetchrow(_ONE, shard, finding_id)
    return None if row is None else OpenFinding(*row)


async def halt(connection: asyncpg.Connection, shard: int) -> bool:
    """Stop the shard: nothing is posted until it is released. Returns whether it was running."""
    return bool(await connection.execute(_HALT, shard) == "UPDATE 1")


async def is_halted(connection: asyncpg.Connection, shard: int) -> bool:
    """Tell whether the shard is stopped."""
    return bool(await connection.fetchval(_IS_HALTED, shard))
