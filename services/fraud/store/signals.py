"""What others noticed about customers, in `fraud.signals`: ids and moments, nothing of the person."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple

import asyncpg

SignalKind = Literal["document_shared"]

_SIGNALS: Final = """
    INSERT INTO fraud.signals (user_id, kind, source_id, at)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::timestamptz[])
    ON CONFLICT DO NOTHING
"""


class Signal(NamedTuple):
    """Somebody noticed this about a customer. `source_id` is what it was noticed by."""

    user_id: str
    kind: SignalKind
    source_id: str
    at: datetime


async def save_signals(connection: asyncpg.Connection, signals: Sequence[Signal]) -> None:
    """Keep those that are not kept yet."""
    columns = [list(column) for column in zip(*signals, strict=True)]
    if columns:
        await connection.execute(_SIGNALS, *columns)
