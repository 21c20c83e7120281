"""No approval becomes void while it is counted.

A use case looks for the first of two approvals, and the database looks once more when it is written. Whoever loses his
role in between would make that a broken promise of ours; so he loses it before the first look, or after the commit.
"""

from typing import Final

from libs.common.audit.record import Recordable

_KEEP: Final = "LOCK TABLE {schema}.void_approvals IN SHARE MODE"


async def keep_approvals(tx: Recordable) -> None:
    """Let no approval become void until the commit; look for approvals after this, not before.

    Locks: what voids approvals, which waits. Others who count approvals do not.
    """
    connection = await tx.driver()
    await connection.execute(_KEEP.format(schema=tx.service))
