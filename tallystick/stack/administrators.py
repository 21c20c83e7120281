"""Who is an administrator. Accounts keeps the roles; a command reads them there with the administrator's DSN."""

from typing import Final

import asyncpg

from libs.common.audit.asker import Asker
from libs.common.ids import is_id
from tallystick.stack.errors import StackError

BY_HELP: Final = "Id of the administrator who decides: `user_id` of GET /api/v1/me."
_IS_ADMINISTRATOR: Final = """
SELECT 'admin' = ANY(roles) AND status = 'active' FROM accounts.customers WHERE user_id = $1 AND deleted_at IS NULL
"""
_WHERE: Final = "an administrator finds his own as `user_id` at GET /api/v1/me"


def at_the_console(user_id: str, command: str) -> Asker:
    """Return who asks for what a command does, for the audit log: it knows no address and no request."""
    return Asker(user_id, "person", user_agent=command, is_staff=True)


async def require_administrator(dsn: str, user_id: str) -> None:
    """Let an active administrator pass: his id goes into the journal for ever, so no other may.

    Raises: StackError, also when accounts cannot be asked.
    """
    if not is_id(user_id):
        raise StackError(f"name with --by the id of the administrator who decides, not {user_id!r}; {_WHERE}")
    try:
        connection = await asyncpg.connect(dsn, timeout=10)
        try:
            found = await connection.fetchval(_IS_ADMINISTRATOR, user_id)
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StackError(f"who is an administrator cannot be looked up in accounts: {error}") from error
    if not found:
        known = "there is no user" if found is None else "no active administrator has the id"
        raise StackError(f"{known} {user_id}; {_WHERE}")
