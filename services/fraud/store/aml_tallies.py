"""What customers sent and received in sum, in memory. Who is not there is counted in the table."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import asyncpg

from services.fraud.domain.aml_bounds import COVERED_US, Tally
from services.fraud.domain.aml_edges import EDGES_MAX, Edge
from services.fraud.domain.moments import from_us, to_us

TALLIES_MAX: Final = 200_000

# Of each direction the newest, as many as are ever looked through: a payment machine has millions.
_COUNT: Final = f"""
    SELECT asked.user_id::text, o.counted, o.minor, i.counted, i.minor
    FROM unnest($1::uuid[]) AS asked (user_id)
    CROSS JOIN LATERAL (
        SELECT count(*) AS counted, coalesce(sum(newest.usd_minor), 0)::bigint AS minor FROM (
            SELECT one.usd_minor FROM fraud.aml_edges one WHERE one.payer_id = asked.user_id AND one.posted_at >= $2
            ORDER BY one.posted_at DESC LIMIT {EDGES_MAX}
        ) newest
    ) o
    CROSS JOIN LATERAL (
        SELECT count(*) AS counted, coalesce(sum(newest.usd_minor), 0)::bigint AS minor FROM (
            SELECT one.usd_minor FROM fraud.aml_edges one WHERE one.payee_id = asked.user_id AND one.posted_at >= $2
            ORDER BY one.posted_at DESC LIMIT {EDGES_MAX}
        ) newest
    ) i
"""  # noqa: S608 -- a number written here


class Tallies:
    """The most recently used customers, bounded in number (about 300 bytes each)."""

    def __init__(self, *, tallies_max: int = TALLIES_MAX) -> None:
        """Start with nobody."""
        self._tallies: OrderedDict[str | None, Tally] = OrderedDict()
        self._tallies_max = tallies_max

    def __len__(self) -> int:
        """Return how many customers are remembered."""
        return len(self._tallies)

    def get(self, user_id: str | None) -> Tally | None:
        """Return what somebody's payments come to, if he is remembered, and count this as a use."""
        tally = self._tallies.get(user_id)
        if tally is not None:
            self._tallies.move_to_end(user_id)
        return tally

    def put(self, user_id: str, tally: Tally) -> None:
        """Remember somebody as he was just counted."""
        self._tallies[user_id] = tally

    def missing(self, edges: Iterable[Edge]) -> list[str]:
        """Return who in these payments is not remembered."""
        people: set[str | None] = set()
        for edge in edges:
            people.add(edge.payer_id)
            people.add(edge.payee_id)
        return [user_id for user_id in people if user_id is not None and user_id not in self._tallies]

    def follow(self, edges: Iterable[Edge]) -> None:
        """Take in payments that were just stored, with those who are remembered."""
        get = self._tallies.get
        for edge in edges:
            payer = get(edge.payer_id)
            if payer is not None:
                payer.add(edge, is_out=True)
            payee = get(edge.payee_id)
            if payee is not None:
                payee.add(edge, is_out=False)

    def forget(self) -> None:
        """Forget everybody."""
        self._tallies.clear()

    def shrink(self) -> None:
        """Keep within the bound; the longest unused go first."""
        while len(self._tallies) > self._tallies_max:
            self._tallies.popitem(last=False)


async def count_tallies(
    connection: asyncpg.Connection, user_ids: Sequence[str], now: datetime
) -> list[tuple[str, Tally]]:
    """Return what these customers sent and received lately, by what is stored."""
    begins_us = to_us(now) - COVERED_US
    return [
        (
            user_id,
            Tally(begins_us, out_minor, ins, in_minor, is_short=max(outs, ins) >= EDGES_MAX),
        )
        for user_id, outs, out_minor, ins, in_minor in await connection.fetch(_COUNT, user_ids, from_us(begins_us))
    ]
