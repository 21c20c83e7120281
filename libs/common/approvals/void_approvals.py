"""Whoever has lost a role or left: what he was the first of two to approve does not count any more.

Roles stand in access tokens, so a service that keeps an approval over days does not see them change. accounts says when
all that somebody had been issued ends, which is when his roles change or he closes, and at no other time.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Final

from libs.common.audit.record import Recordable
from libs.common.clock import from_rfc3339
from libs.common.contracts.accounts import CredentialsRevoked

_VOID: Final = """
    INSERT INTO {schema}.void_approvals AS v (actor_id, up_to)
    SELECT * FROM unnest($1::uuid[], $2::timestamptz[]) ORDER BY 1
    ON CONFLICT (actor_id) DO UPDATE SET up_to = excluded.up_to WHERE v.up_to < excluded.up_to
"""


class VoidApprovals:
    """Keeps up to when somebody's approvals do not count; the queries that look for a first one leave them out.

    What two people have agreed on stays. Idempotent by: the later moment. Locks: the rows of these people; it waits
    for whoever counts approvals (`keep_approvals`), so begin it on no connection that others wait for.
    """

    def __init__(self, begin: Callable[[], AbstractAsyncContextManager[Recordable]]) -> None:
        """Take what begins a transaction of the service, which has `void_approvals_sql`."""
        self._begin = begin

    async def __call__(self, revoked: Sequence[CredentialsRevoked]) -> None:
        """Take these in; what ends a log-in or a key alone changes nothing. Raises: Unavailable."""
        up_to: dict[str, datetime] = {}
        for one in revoked:
            if not one.session_id and not one.key_id:
                # Not a moment more: whoever was given a role now may approve by it at once.
                moment = from_rfc3339(one.occurred_at)
                up_to[one.user_id] = max(moment, up_to.get(one.user_id, moment))
        if not up_to:
            return
        async with self._begin() as tx:
            connection = await tx.driver()
            await connection.execute(_VOID.format(schema=tx.service), list(up_to), list(up_to.values()))
