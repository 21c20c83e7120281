"""`fraud.rulesets`, written once each, and `fraud.ruleset_events`, who moved them and why."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg

from services.fraud.domain.ruleset_life import NotedEvent, RulesetStatus, StoredRuleset

_COLUMNS: Final = """
    version, name, status, risk, reason, author, created_at, approved_by, approved_at, sha256, document,
    approval_id::text,
    approval_id IS NOT NULL
        AND approved_after = (SELECT coalesce(max(number), 0) FROM fraud.ruleset_publications)
        AND NOT fraud.is_void(r.approved_by, r.approved_at)
"""
_NEXT: Final = "SELECT coalesce(max(version), 1) + 1 FROM fraud.rulesets"
# One writer at a time: versions have no gaps, and there is one live set. It locks out no reader.
_LOCK: Final = "LOCK TABLE fraud.rulesets IN SHARE ROW EXCLUSIVE MODE"
_INSERT: Final = """
    INSERT INTO fraud.rulesets (version, name, status, risk, reason, author, created_at, approved_by, approved_at,
                                sha256, document, approval_id, approved_after)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
            CASE WHEN $12::uuid IS NOT NULL THEN (SELECT coalesce(max(number), 0) FROM fraud.ruleset_publications) END)
"""
_SHADOWS: Final = "SELECT count(*) FROM fraud.rulesets WHERE status = 'shadow'"
_MOVE: Final = "UPDATE fraud.rulesets SET status = $2 WHERE version = $1"
_APPROVE: Final = """
    UPDATE fraud.rulesets SET approved_by = $2, approved_at = $3, approval_id = $4,
        approved_beside = (SELECT version FROM fraud.rulesets WHERE status = 'live'),
        approved_after = (SELECT coalesce(max(number), 0) FROM fraud.ruleset_publications)
    WHERE version = $1
"""
_NOTE: Final = """
    INSERT INTO fraud.ruleset_events (event_id, version, action, actor, reason, at) VALUES ($1, $2, $3, $4, $5, $6)
"""
_EVENTS: Final = """
    SELECT action, actor, reason, at FROM fraud.ruleset_events WHERE version = $1 ORDER BY at, event_id
"""
_PAGE: Final = f"SELECT {_COLUMNS} FROM fraud.rulesets r WHERE version < $1 ORDER BY version DESC LIMIT $2"  # noqa: S608 -- written here
_ONE: Final = f"SELECT {_COLUMNS} FROM fraud.rulesets r WHERE version = $1"  # noqa: S608 -- as above
_LIVE: Final = f"SELECT {_COLUMNS} FROM fraud.rulesets r WHERE status = 'live'"  # noqa: S608 -- as above


async def lock_rulesets(connection: asyncpg.Connection) -> None:
    """Keep others from changing rule sets until the commit."""
    await connection.execute(_LOCK)


async def next_version(connection: asyncpg.Connection) -> int:
    """Return the version of the next rule set; the first is 2."""
    version: int = await connection.fetchval(_NEXT)
    return version


async def insert_ruleset(connection: asyncpg.Connection, ruleset: StoredRuleset) -> None:
    """Store a rule set."""
    await connection.execute(
        _INSERT,
        ruleset.version,
        ruleset.name,
        ruleset.status,
        ruleset.risk,
        ruleset.reason,
        ruleset.author,
        ruleset.created_at,
        ruleset.approved_by,
        ruleset.approved_at,
        ruleset.sha256,
        ruleset.document,
        ruleset.approval_id,
    )


async def move_ruleset(connection: asyncpg.Connection, version: int, status: RulesetStatus) -> None:
    """Put a rule set in another state."""
    await connection.execute(_MOVE, version, status)


async def approve_ruleset(
    connection: asyncpg.Connection, version: int, *, approval_id: str, approved_by: str, at: datetime
) -> None:
    """Note who approved a rule set, beside what is live."""
    await connection.execute(_APPROVE, version, approved_by, at, approval_id)


async def note_event(connection: asyncpg.Connection, event_id: str, version: int, event: NotedEvent) -> None:
    """Note what happened to a rule set."""
    await connection.execute(_NOTE, event_id, version, event.action, event.actor, event.reason, event.at)


async def find_ruleset(connection: asyncpg.Connection, version: int) -> StoredRuleset | None:
    """Return a rule set."""
    return _ruleset(await connection.fetchrow(_ONE, version))


async def find_live_ruleset(connection: asyncpg.Connection) -> StoredRuleset | None:
    """Return the rule set that decides."""
    return _ruleset(await connection.fetchrow(_LIVE))


async def count_shadows(connection: asyncpg.Connection) -> int:
    """Return how many rule sets judge in the shadow."""
    shadows: int = await connection.fetchval(_SHADOWS)
    return shadows


async def list_rulesets(connection: asyncpg.Connection, *, below: int, limit: int) -> list[StoredRuleset]:
    """Return a page of rule sets older than version `below`, newest first."""
    return [StoredRuleset(*row) for row in await connection.fetch(_PAGE, below, limit)]


async def list_events(connection: asyncpg.Connection, version: int) -> Sequence[NotedEvent]:
    """Return all that happened to a rule set, in order."""
    return [NotedEvent(*row) for row in await connection.fetch(_EVENTS, version)]


def _ruleset(row: Any) -> StoredRuleset | None:
    return None if row is None else StoredRuleset(*row)
