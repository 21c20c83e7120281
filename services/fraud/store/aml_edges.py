"""`fraud.aml_edges`: who paid whom lately, and how far that has been judged."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any, Final, NamedTuple

import asyncpg

from services.fraud.domain.aml_edges import EDGES_MAX, Edge
from services.fraud.domain.moments import from_us, to_us

_LOCK_PROGRESS: Final = "SELECT heard_up_to, judged_up_to FROM fraud.aml_progress WHERE only_row FOR UPDATE"
_WAITS: Final = "SELECT heard_up_to > judged_up_to FROM fraud.aml_progress WHERE only_row"
_HEARD: Final = "UPDATE fraud.aml_progress SET heard_up_to = greatest(heard_up_to, $1) WHERE only_row"
_JUDGED: Final = "UPDATE fraud.aml_progress SET judged_up_to = $1 WHERE only_row"

_DECISIONS: Final = """
    SELECT d.transfer_id::text, d.user_id::text, d.usd_minor, d.features
    FROM unnest($1::uuid[]) AS asked (transfer_id) JOIN fraud.decisions d ON d.transfer_id = asked.transfer_id
"""

# What a statement changes it does not see itself: so a pair comes from what was put, else from what was there.
_MEET: Final = """
    WITH met AS (
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS m (payee_id, payer_id, first_at)
    ), put AS (
        INSERT INTO fraud.aml_contacts AS c (payee_id, payer_id, first_at)
        SELECT payee_id, payer_id, first_at FROM met ORDER BY payee_id, payer_id
        ON CONFLICT (payee_id, payer_id) DO UPDATE SET first_at = excluded.first_at
        WHERE excluded.first_at < c.first_at
        RETURNING payee_id, payer_id
    )
    SELECT met.payee_id::text, met.payer_id::text, c.first_at
    FROM met JOIN fraud.aml_contacts c ON c.payee_id = met.payee_id AND c.payer_id = met.payer_id
    WHERE c.first_at < met.first_at
"""

_INSERT: Final = """
    INSERT INTO fraud.aml_edges (shard, journal_index, place, transfer_id, payer_id, payee_id, usd_minor, posted_at,
                                 known_since, heard_at)
    SELECT e.*, $10 FROM unnest($1::int[], $2::bigint[], $3::smallint[], $4::uuid[], $5::uuid[], $6::uuid[],
                                $7::bigint[], $8::timestamptz[], $9::timestamptz[]) AS e
    ON CONFLICT ON CONSTRAINT aml_edges_pkey DO NOTHING
    RETURNING shard, journal_index, place, edge_no
"""

_COLUMNS: Final = (
    "e.posted_at, e.shard, e.journal_index, e.place, e.transfer_id::text, e.payer_id::text, e.payee_id::text, "
    "e.usd_minor, e.known_since, e.edge_no"
)

_UNJUDGED: Final = f"""
    SELECT e.heard_at, {_COLUMNS} FROM fraud.aml_edges e
    WHERE e.edge_no > $1 AND e.edge_no <= $2 ORDER BY e.edge_no LIMIT $3
"""  # noqa: S608 -- columns written here

_NEWEST_OUT: Final = f"""
    SELECT {_COLUMNS} FROM unnest($1::uuid[]) AS asked (user_id) CROSS JOIN LATERAL (
        SELECT * FROM fraud.aml_edges one WHERE one.payer_id = asked.user_id
        ORDER BY one.posted_at DESC, one.shard DESC, one.journal_index DESC, one.place DESC LIMIT {EDGES_MAX}
    ) e
"""  # noqa: S608 -- columns written here
_NEWEST_IN: Final = _NEWEST_OUT.replace("one.payer_id =", "one.payee_id =")

_PROFILES: Final = """
    SELECT u.user_id::text, u.profile FROM unnest($1::uuid[]) AS asked (user_id)
    JOIN fraud.users u ON u.user_id = asked.user_id
"""

_PRUNE: Final = """
    DELETE FROM fraud.aml_edges WHERE edge_no IN (
        SELECT oldest.edge_no FROM (
            SELECT e.edge_no, e.heard_at FROM fraud.aml_edges e
            WHERE e.edge_no <= (SELECT judged_up_to FROM fraud.aml_progress WHERE only_row)
            ORDER BY e.edge_no LIMIT $2
        ) oldest
        WHERE oldest.heard_at < $1
    )
"""


class Progress(NamedTuple):
    """Numbers of edges: all up to there are stored, and judged."""

    heard_up_to: int
    judged_up_to: int


class DecidedTransfer(NamedTuple):
    """What a decision says of a transfer. `features` is JSON."""

    user_id: str | None
    usd_minor: int
    features: bytes


async def lock_progress(connection: asyncpg.Connection) -> Progress:
    """Return how far it has come; nobody else stores edges or judges them until the commit."""
    return Progress(*await connection.fetchrow(_LOCK_PROGRESS))


async def find_decided(connection: asyncpg.Connection, transfer_ids: Sequence[str]) -> dict[str, DecidedTransfer]:
    """Return transfer_id → what was decided on it."""
    rows = await connection.fetch(_DECISIONS, transfer_ids)
    return {transfer_id: DecidedTransfer(*columns) for transfer_id, *columns in rows}


async def keep_edges(connection: asyncpg.Connection, edges: Sequence[Edge], heard_at: datetime) -> list[Edge]:
    """Store payments, each once for ever, and return those that are new, with their numbers and since when.

    Locks: none of its own; the caller holds the progress. At most one edge a place of a record.
    """
    known = await _meet(connection, edges)
    since = [known.get((edge.payee_id or "", edge.payer_id or ""), edge.posted_us) for edge in edges]
    rows = await connection.fetch(
        _INSERT,
        [edge.shard for edge in edges],
        [edge.journal_index for edge in edges],
        [edge.place for edge in edges],
        [edge.transfer_id for edge in edges],
        [edge.payer_id for edge in edges],
        [edge.payee_id for edge in edges],
        [edge.usd_minor for edge in edges],
        [from_us(edge.posted_us) for edge in edges],
        [from_us(moment_us) for moment_us in since],
        heard_at,
    )
    numbers = {(shard, journal_index, place): edge_no for shard, journal_index, place, edge_no in rows}
    if rows:
        await connection.execute(_HEARD, max(numbers.values()))
    return [
        _numbered(edge, known_since_us=since_us, edge_no=numbers[edge.record])
        for edge, since_us in zip(edges, since, strict=True)
        if edge.record in numbers
    ]


async def read_unjudged(
    connection: asyncpg.Connection, progress: Progress, *, settled_before: datetime, now: datetime, limit: int
) -> list[Edge]:
    """Return payments that are to be judged, in the order they were heard of, up to the first that has not settled.

    None is passed over, whatever the clock did: what was heard of in the future was heard of before it stepped back.
    """
    rows = await connection.fetch(_UNJUDGED, progress.judged_up_to, progress.heard_up_to, limit)
    return [_edge(columns) for _, *columns in takewhile(lambda row: not settled_before < row[0] <= now, rows)]


async def has_unjudged(connection: asyncpg.Connection) -> bool:
    """Tell whether there is anything to be judged, now or soon."""
    waits: bool = await connection.fetchval(_WAITS)
    return waits


async def note_judged(connection: asyncpg.Connection, edge_no: int) -> None:
    """Keep that everything up to this number is judged."""
    await connection.execute(_JUDGED, edge_no)


async def read_newest(connection: asyncpg.Connection, user_ids: Sequence[str]) -> tuple[list[Edge], list[Edge]]:
    """Return what these customers sent and what they received, at most `EDGES_MAX` of each one's newest either way."""
    outs = await connection.fetch(_NEWEST_OUT, user_ids)
    ins = await connection.fetch(_NEWEST_IN, user_ids)
    return [_edge(row) for row in outs], [_edge(row) for row in ins]


async def read_profiles(connection: asyncpg.Connection, user_ids: Sequence[str]) -> dict[str, str]:
    """Return user_id → limit profile, of those who have one."""
    return dict(await connection.fetch(_PROFILES, user_ids))


async def prune_edges(connection: asyncpg.Connection, *, heard_before: datetime, limit: int) -> int:
    """Delete up to so many judged payments that nobody looks back upon any more; return how many."""
    done: str = await connection.execute(_PRUNE, heard_before, limit)
    return int(done.rpartition(" ")[2])


async def _meet(connection: asyncpg.Connection, edges: Collection[Edge]) -> Mapping[tuple[str, str], int]:
    """Keep who was first paid by whom; return (payee, payer) → when, µs, of those who had met before."""
    firsts: dict[tuple[str, str], int] = {}
    for edge in edges:
        if edge.payee_id is not None and edge.payer_id is not None:
            pair = (edge.payee_id, edge.payer_id)
            firsts[pair] = min(edge.posted_us, firsts.get(pair, edge.posted_us))
    rows = await connection.fetch(
        _MEET,
        [payee_id for payee_id, _ in firsts],
        [payer_id for _, payer_id in firsts],
        [from_us(moment_us) for moment_us in firsts.values()],
    )
    met = {(payee_id, payer_id): to_us(first_at) for payee_id, payer_id, first_at in rows}
    return {pair: met.get(pair, first_us) for pair, first_us in firsts.items()}


def _numbered(edge: Edge, *, known_since_us: int, edge_no: int) -> Edge:
    return Edge(
        edge.posted_us,
        edge.shard,
        edge.journal_index,
        edge.place,
        edge.transfer_id,
        edge.payer_id,
        edge.payee_id,
        edge.usd_minor,
        known_since_us,
        edge_no,
    )


def _edge(row: Sequence[Any]) -> Edge:
    posted_at, shard, journal_index, place, transfer_id, payer_id, payee_id, usd_minor, known_since, edge_no = row
    return Edge(
        to_us(posted_at),
        shard,
        journal_index,
        place,
        transfer_id,
        payer_id,
        payee_id,
        usd_minor,
        to_us(known_since),
        edge_no,
    )
