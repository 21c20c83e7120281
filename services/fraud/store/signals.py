"""What others noticed about customers: ids and moments, nothing of the person.

`fraud.signals` has all of it, for ever. What rules read, the newest moments of each customer, stands in his row of
`fraud.users` as well: that is read for each decision anyway, and its version tells memory elsewhere that it is old.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple

import asyncpg

SignalKind = Literal["document_shared"]

# The row has the last word: what another process noticed meanwhile is in `u`, though this statement cannot see it.
# Only what was not kept before is added, so a signal that comes again moves nothing.
_SIGNALS: Final = """
    WITH kept AS (
        INSERT INTO fraud.signals (user_id, kind, source_id, at)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::timestamptz[])
        ORDER BY 1, 2, 3
        ON CONFLICT DO NOTHING
        RETURNING user_id, at
    )
    INSERT INTO fraud.users AS u (user_id, version, documents_shared_at)
    SELECT kept.user_id, 1, (array_agg(kept.at ORDER BY kept.at DESC))[:$5] FROM kept
    GROUP BY kept.user_id ORDER BY kept.user_id
    ON CONFLICT (user_id) DO UPDATE
    SET documents_shared_at = ARRAY(
            SELECT known.at FROM unnest(u.documents_shared_at || excluded.documents_shared_at) AS known (at)
            ORDER BY known.at DESC LIMIT $5
        ),
        version = u.version + 1
    RETURNING u.user_id::text
"""
SHARED_DOCUMENTS_MAX: Final = 20
"""How many moments a customer's row has at most, the newest; the database keeps to it."""


class Signal(NamedTuple):
    """Somebody noticed this about a customer. `source_id` is what it was noticed by."""

    user_id: str
    kind: SignalKind
    source_id: str
    at: datetime


async def save_signals(connection: asyncpg.Connection, signals: Sequence[Signal]) -> list[str]:
    """Keep those that are not kept yet, and raise the versions of whom they are about. Returns their user ids.

    Locks: the customers' rows, in order of their ids.
    """
    if not signals:
        return []
    columns = [list(column) for column in zip(*signals, strict=True)]
    return [row[0] for row in await connection.fetch(_SIGNALS, *columns, SHARED_DOCUMENTS_MAX)]
