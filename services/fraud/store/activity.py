"""`fraud.activity`: what rules look back at, a row for each receiver of a transfer, for a month."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg
import msgspec

from services.fraud.domain.activity import EVENTS_MAX, Event
from services.fraud.domain.moments import to_us
from services.fraud.store.usual_values import unless_all

KEPT_FOR: Final = timedelta(days=31)
_LOOKED_BACK: Final = timedelta(days=30)

# The places are what `activity_columns` returns. It may stand in another statement's WITH.
INSERT_ACTIVITY: Final = """
    INSERT INTO fraud.activity (decided_at, payer_id, payee_id, address_key, device_key, usd_minor, blocked)
    SELECT coalesce(a.decided_at, {now}), a.payer_id, a.payee_id, nullif(a.address_key, 0), nullif(a.device_key, 0),
           a.usd_minor, coalesce(a.blocked, false)
    FROM unnest({0}::timestamptz[], {1}::uuid[], {2}::uuid[], {3}::bigint[], {4}::bigint[], {5}::bigint[],
                {6}::boolean[])
        AS a (decided_at, payer_id, payee_id, address_key, device_key, usd_minor, blocked)
"""

_LATEST: Final = """
    SELECT {kind} AS kind, asked.place, e.decided_at, e.usd_minor, e.other, e.blocked
    FROM unnest({keys}) WITH ORDINALITY AS asked (key, place)
    CROSS JOIN LATERAL (
        SELECT a.decided_at, a.usd_minor, a.{other} AS other, a.blocked FROM fraud.activity a
        WHERE a.{column} = asked.key AND a.decided_at > $5
        ORDER BY a.decided_at DESC LIMIT {most} OFFSET 0
    ) e
"""
_SUBJECTS: Final = (
    ("payer_id", "payee_id", "$1::uuid[]"),
    ("payee_id", "payer_id", "$2::uuid[]"),
    ("address_key", "payer_id", "$3::bigint[]"),
    ("device_key", "payer_id", "$4::bigint[]"),
)
_SELECT: Final = (
    " UNION ALL ".join(
        _LATEST.format(kind=kind, keys=keys, column=column, other=other, most=EVENTS_MAX)
        for kind, (column, other, keys) in enumerate(_SUBJECTS)
    )
    + " ORDER BY kind, place, decided_at"
)

_SENT_FROM: Final = """
    SELECT EXISTS (SELECT FROM fraud.activity WHERE payer_id = $1 AND (address_key = $2 OR device_key = $3))
"""
_FORGET: Final = """
    DELETE FROM fraud.activity WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM fraud.activity WHERE decided_at < $1 LIMIT $2))
"""


class NewActivity(msgspec.Struct, frozen=True, gc=False):
    """One payment to one receiver, to be remembered. Keys are 0 where nobody knows them."""

    decided_at: datetime
    payer_id: str
    payee_id: str | None
    address_key: int
    device_key: int
    usd_minor: int
    blocked: bool


async def load_events(
    connection: asyncpg.Connection, asked: Sequence[Sequence[str | int]], now: datetime
) -> tuple[dict[str | int, list[Event]], ...]:
    """Return the events of the last 30 days, at most `EVENTS_MAX` each, by key, of each of the four kinds asked for.

    Those are payers, payees, addresses and devices.
    """
    found: tuple[dict[str | int, list[Event]], ...] = ({}, {}, {}, {})
    for kind, place, at, usd_minor, other, blocked in await connection.fetch(_SELECT, *asked, now - _LOOKED_BACK):
        key = asked[kind][place - 1]
        event = Event(to_us(at), usd_minor, "" if other is None else str(other), blocked)
        found[kind].setdefault(key, []).append(event)
    return found


def activity_columns(rows: Sequence[NewActivity], now: datetime) -> tuple[list[Any], ...]:
    """Return the rows as columns for `INSERT_ACTIVITY`: times are none for now, and none is blocked where none is."""
    return (
        unless_all(now, [row.decided_at for row in rows]),
        [row.payer_id for row in rows],
        [row.payee_id for row in rows],
        [row.address_key for row in rows],
        [row.device_key for row in rows],
        [row.usd_minor for row in rows],
        unless_all(usual=False, column=[row.blocked for row in rows]),
    )


async def has_sent_from(connection: asyncpg.Connection, payer_id: str, *, address_key: int, device_key: int) -> bool:
    """Tell whether a customer has sent from this address or device, in the month that is kept; 0 stands for none."""
    found: bool = await connection.fetchval(_SENT_FROM, payer_id, address_key, device_key)
    return found


async def forget_activity(connection: asyncpg.Connection, before: datetime, *, limit: int) -> int:
    """Delete a page of what is older; return how many rows that was."""
    tag: str = await connection.execute(_FORGET, before, limit)
    return int(tag.rpartition(" ")[2])
