"""Rule sets put live behind every process's back, as another process would; no rule is read."""

from hashlib import sha256
from typing import Final

import asyncpg

from libs.common.ids import new_id

_DRAFT: Final = """
    INSERT INTO fraud.rulesets (version, name, status, document, sha256, risk, reason, author, created_at, approved_by,
                                approved_at, approval_id, approved_beside, approved_after)
    SELECT coalesce(max(version), 1) + 1, 'tried', 'draft', $1, $2, 'low', 'a test', 'somebody', now(), 'another',
           now(), $3, (SELECT version FROM fraud.rulesets WHERE status = 'live'),
           (SELECT coalesce(max(number), 0) FROM fraud.ruleset_publications)
    FROM fraud.rulesets RETURNING version
"""
_PUBLISH: Final = """
    INSERT INTO fraud.ruleset_publications (number, version, replaces, basis, agreed_on, approval_id, approved_by,
                                            published_by, at)
    SELECT coalesce(max(number), 0) + 1, $1, (SELECT version FROM fraud.rulesets WHERE status = 'live'), 'approval', $1,
           $2, 'another', 'somebody', now()
    FROM fraud.ruleset_publications
"""
_RETIRE: Final = "UPDATE fraud.rulesets SET status = 'retired' WHERE status = 'live'"
_MOVE: Final = "UPDATE fraud.rulesets SET status = $2 WHERE version = $1"


async def put_in_force(connection: asyncpg.Connection, document: str) -> int:
    """Put a rule set live and retire the one before; return its version."""
    async with connection.transaction():
        approval_id = new_id()
        version: int = await connection.fetchval(_DRAFT, document, sha256(document.encode()).digest(), approval_id)
        await connection.execute(_PUBLISH, version, approval_id)
        await connection.execute(_RETIRE)
        await connection.execute(_MOVE, version, "live")
    return version


async def put_into_shadow(connection: asyncpg.Connection, document: str) -> int:
    """Let a rule set judge beside the live one; return its version."""
    async with connection.transaction():
        version: int = await connection.fetchval(_DRAFT, document, sha256(document.encode()).digest(), new_id())
        await connection.execute(_MOVE, version, "shadow")
    return version
