"""`fraud.aml_edges`: who paid whom lately, and how far that has been judged."""

from collections.abc import Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any, Final, NamedTuple

import asyncpg

from libs.common.invariants import check
from services.fraud.domain.aml_edges import EDGES_MAX, Edge, Payment
from services.fraud.domain.moments import to_us

_LOCK_PROGRESS: Final = "SELECT heard_up_to, judged_up_to FROM fraud.aml_progress WHERE only_row FOR UPDATE"
_WAITS: Final = "SELECT heard_up_to > judged_up_to FROM fraud.aml_progress WHERE only_row"
_JUDGED: Final = "UPDATE fraud.aml_progress SET judged_up_to = $1 WHERE only_row"

# What is kept already is told of again by none of its payees: a record's payments were all stored together.
_DECISIONS: Final = """
    SELECT asked.n, d.user_id::text, d.usd_minor, d.features
    FROM unnest($1::uuid[], $2::int[], $3::bigint[]) WITH ORDINALITY AS asked (transfer_id, shard, journal_index, n)
    LEFT JOIN fraud.decisions d ON d.transfer_id = asked.transfer_id
    WHERE NOT EXISTS (SELECT FROM fraud.aml_edges e
                      WHERE e.shard = asked.shard AND e.journal_index = asked.journal_index)
"""

# One statement keeps a batch: what a statement changes it does not see itself, so `known_at` is what was there before.
# Numbers follow the order given, without a gap, because nobody else stores edges meanwhile.
_KEEP: Final = """
    WITH met AS MATERIALIZED (
        SELECT paid.*, timestamptz 'epoch' + paid.posted_us * interval '1 microsecond' AS posted_at,
            timestamptz 'epoch' + paid.first_us * interval '1 microsecond' AS first_at, (
                SELECT c.first_at FROM fraud.aml_contacts c
                WHERE c.payee_id = paid.payee_id AND c.payer_id = paid.payer_id
            ) AS known_at
        FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::smallint[], $5::uuid[], $6::uuid[], $7::uuid[],
                    $8::bigint[], $9::bigint[]) WITH ORDINALITY
            AS paid (posted_us, shard, journal_index, place, transfer_id, payer_id, payee_id, usd_minor, first_us, n)
    ), put AS (
        INSERT INTO fraud.aml_contacts AS c (payee_id, payer_id, first_at)
        SELECT DISTINCT payee_id, payer_id, first_at FROM met
        WHERE payee_id IS NOT NULL AND payer_id IS NOT NULL AND (known_at IS NULL OR first_at < known_at)
        ON CONFLICT (payee_id, payer_id) DO UPDATE SET first_at = least(c.first_at, excluded.first_at)
    ), kept AS (
        INSERT INTO fraud.aml_edges (shard, journal_index, place, transfer_id, payer_id, payee_id, usd_minor, posted_at,
                                     known_since, heard_at)
        SELECT shard, journal_index, place, transfer_id, payer_id, payee_id, usd_minor, posted_at,
            least(first_at, known_at), $10 FROM met ORDER BY n
        RETURNING edge_no
    ), numbers AS MATERIALIZED (
        SELECT min(edge_no) AS first_no, max(edge_no) AS last_no FROM kept
    ), heard AS (
        UPDATE fraud.aml_progress SET heard_up_to = greatest(heard_up_to, last_no) FROM numbers WHERE only_row
    )
    SELECT numbers.first_no, numbers.last_no, known.n, known.known_us FROM numbers LEFT JOIN (
        SELECT n, (extract(epoch FROM known_at) * 1000000)::bigint AS known_us FROM met WHERE known_at < first_at
    ) known ON true
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


async def find_decided(
    connection: asyncpg.Connection, postings: Sequence[tuple[str, int, int]]
) -> list[tuple[int, DecidedTransfer | None]]:
    """Return (place in these, what was decided on it) of each (transfer_id, shard, journal_index) not kept yet.

    None where nobody decided.
    """
    rows = await connection.fetch(_DECISIONS, *map(list, zip(*postings, strict=True)))
    return [
        (number - 1, None if features is None else DecidedTransfer(user_id, usd_minor, features))
        for number, user_id, usd_minor, features in rows
    ]


async def keep_edges(connection: asyncpg.Connection, paid: Sequence[Payment], heard_at: datetime) -> list[Edge]:
    """Store payments that are not kept yet, and return them with their numbers and since when the two know each other.

    Locks: none of its own; the caller holds the progress. At most one payment a place of a record.
    """
    firsts: dict[tuple[str | None, str | None], int] = {}
    for one in paid:
        pair = (one.payee_id, one.payer_id)
        if firsts.setdefault(pair, one.posted_us) > one.posted_us:
            firsts[pair] = one.posted_us
    since = [firsts[one.payee_id, one.payer_id] for one in paid]
    rows = await connection.fetch(_KEEP, *map(list, zip(*paid, strict=True)), since, heard_at)
    first_no, last_no = rows[0][:2]
    check(last_no - first_no + 1 == len(paid), "whoever stores payments is alone", first_no=first_no, last_no=last_no)
    for _, _, number, known_us in rows:
        if number is not None:
            since[number - 1] = known_us
    return [
        Edge(*one, since_us, edge_no) for edge_no, (one, since_us) in enumerate(zip(paid, since, strict=True), first_no)
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
