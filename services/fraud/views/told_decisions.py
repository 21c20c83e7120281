"""What a payer was told of decisions on his transfers, and no more: neither rules nor features, nor a suspicion.

Whatever is added to a decision stays out until somebody adds it here (Directive (EU) 2015/849, article 39).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from libs.common.clock import to_rfc3339
from libs.common.db.reading import Reading

# Two questions, because each of the two indexes has a part of the decisions.
_OF_PAYER: Final = """
(SELECT d.transfer_id, d.verdict, d.code, d.facts, d.decided_at FROM fraud.decisions d
 WHERE d.user_id = $1::uuid AND d.verdict <> 'block' AND (d.decided_at, d.transfer_id) > ($2, $3::uuid)
 ORDER BY d.decided_at, d.transfer_id LIMIT $4)
UNION ALL
(SELECT d.transfer_id, d.verdict, d.code, d.facts, d.decided_at FROM fraud.decisions d
 WHERE d.user_id = $1::uuid AND d.verdict = 'block' AND (d.decided_at, d.transfer_id) > ($2, $3::uuid)
 ORDER BY d.decided_at, d.transfer_id LIMIT $4)
ORDER BY decided_at, transfer_id LIMIT $4
"""


class ToldDecision(msgspec.Struct, frozen=True):
    """A decision as its payer was told: `code` is empty unless it blocked, `facts` are then the public numbers.

    `decided_at` is RFC 3339 UTC.
    """

    transfer_id: str
    verdict: str
    code: str
    facts: msgspec.Raw
    decided_at: str


class ToldDecisions:
    """Reads what payers were told."""

    def __init__(self, reading: Reading) -> None:
        """Take what it reads with."""
        self._reading = reading

    async def of(self, user_id: str, after: tuple[datetime, str], limit: int) -> Sequence[ToldDecision]:
        """Return a page of decisions on the payer's transfers behind (moment, transfer), oldest first.

        Raises: Unavailable.
        """
        async with self._reading.connection() as connection:
            rows = await connection.fetch(_OF_PAYER, user_id, *after, limit)
        return [
            ToldDecision(
                transfer_id=str(row["transfer_id"]),
                verdict=row["verdict"],
                code=row["code"],
                facts=msgspec.Raw(row["facts"] or b"{}"),
                decided_at=to_rfc3339(row["decided_at"]),
            )
            for row in rows
        ]
