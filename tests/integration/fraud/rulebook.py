"""Rule sets and list entries as rows, for tests of what comes after they were published."""

import asyncpg

from libs.common.ids import new_id
from tests.support.api_world import admin_connection
from tests.support.rulesets_in_force import put_in_force, put_into_shadow


async def put_live(admin_dsn: str, document: str) -> int:
    """Put a rule set in force, and whatever was before it out of it; return its version."""
    async with admin_connection(admin_dsn) as connection:
        return await put_in_force(connection, document)


async def put_in_shadow(admin_dsn: str, document: str) -> int:
    """Let a rule set judge beside the live one; return its version."""
    async with admin_connection(admin_dsn) as connection:
        return await put_into_shadow(connection, document)


async def end_rulesets(admin_dsn: str) -> None:
    """Leave no rule set live or in shadow: other tests decide without."""
    async with admin_connection(admin_dsn) as connection:
        await connection.execute(
            """
            UPDATE fraud.rulesets SET status = CASE status WHEN 'live' THEN 'retired' ELSE 'draft' END
            WHERE status IN ('live', 'shadow')
            """
        )


async def enter(admin_dsn: str, name: str, subject: str, value: str, *, rule_id: str = "", other: str = "") -> str:
    """Put somebody on a list; return the entry's id."""
    async with admin_connection(admin_dsn) as connection:
        return await enter_within(connection, name, subject, value, rule_id=rule_id, other=other)


async def enter_within(
    connection: asyncpg.Connection, name: str, subject: str, value: str, *, rule_id: str = "", other: str = ""
) -> str:
    """Put somebody on a list by a connection that may be in a transaction; return the entry's id."""
    entry_id = new_id()
    await connection.execute(
        """
        INSERT INTO fraud.list_entries (entry_id, list, subject, value, other, rule_id, reason, added_by, added_at,
                                        expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, 'a test', 'somebody', now(), now() + interval '1 day')
        """,
        entry_id,
        name,
        subject,
        value,
        other,
        rule_id,
    )
    return entry_id
