"""Where a transfer's records and entries stand, found without reading the journal: it has no index on transfers.

Indexes on the journal and on entries would cost every posting; these questions are rare, and other rows know better.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import asyncpg

# A transfer's first record and its newest are named by its own rows. Those between are named by what brought them
# about: captures, and reversals, each followed by the record of what it did to its original.
_NAMED: Final = """
WITH known AS MATERIALIZED (
    SELECT t.transfer_id, t.shard, t.version, t.journal_index AS newest,
           coalesce(s.legs_index, t.journal_index) AS oldest
    FROM ledger.transfers t LEFT JOIN ledger.settlements s USING (transfer_id)
    WHERE t.transfer_id = ANY($1::uuid[])
), named AS (
    SELECT transfer_id, shard, newest AS journal_index FROM known
    UNION
    SELECT transfer_id, shard, oldest FROM known
    UNION
    SELECT transfer_id, r.shard, r.journal_index + 1 FROM known JOIN ledger.reversals r USING (transfer_id)
    UNION
    SELECT c.subject_id, c.shard, c.journal_index FROM ledger.commands c
    WHERE c.subject_id = ANY($1::uuid[])
)
SELECT known.transfer_id::text, known.version, known.oldest, known.newest, j.shard, j.journal_index
FROM known LEFT JOIN named USING (transfer_id)
LEFT JOIN ledger.journal j
    ON j.shard = named.shard AND j.journal_index = named.journal_index AND j.transfer_id = known.transfer_id
"""
_BETWEEN: Final = """
SELECT transfer_id::text, shard, journal_index FROM ledger.journal
WHERE shard = ANY($1::integer[]) AND journal_index BETWEEN $2 AND $3 AND transfer_id = $4
"""
_ANYWHERE: Final = """
SELECT transfer_id::text, shard, journal_index FROM ledger.journal WHERE transfer_id = ANY($1::uuid[])
"""
_ENTRIES: Final = """
SELECT e.account_id::text, e.amount_minor
FROM unnest($2::uuid[]) AS a (account_id)
CROSS JOIN LATERAL (SELECT ledger.last_seq_by(a.account_id, $1 - 1) AS before,
                           ledger.last_seq_by(a.account_id, $1) AS last OFFSET 0) AS bound
JOIN ledger.entries e ON e.account_id = a.account_id AND e.seq > bound.before AND e.seq <= bound.last
WHERE e.journal_index = $1
"""


class Place(NamedTuple):
    """Where a record stands."""

    shard: int
    journal_index: int


async def find_records(connection: asyncpg.Connection, transfer_ids: Sequence[str]) -> dict[str, list[Place]]:
    """Return transfer_id → the places of all its records, in their order; none for one that the journal does not know.

    A transfer has as many records as its version says. If those that are named are not so many, the journal is read
    between its oldest and its newest; if its row is missing or says otherwise still, all of the journal.
    """
    found: dict[str, set[Place]] = {transfer_id: set() for transfer_id in transfer_ids}
    known: dict[str, tuple[int, int, int]] = {}
    for transfer_id, version, oldest, newest, shard, index in await connection.fetch(_NAMED, transfer_ids):
        known[transfer_id] = version, oldest, newest
        if index is not None:
            found[transfer_id].add(Place(shard, index))
    for transfer_id, (version, oldest, newest) in known.items():
        places = found[transfer_id]
        if places and len(places) != version:
            shards = [place.shard for place in places]
            rows = await connection.fetch(_BETWEEN, shards, oldest, newest, transfer_id)
            places.update(Place(shard, index) for _, shard, index in rows)
    doubtful = [
        transfer_id
        for transfer_id, places in found.items()
        if transfer_id not in known or len(places) != known[transfer_id][0]
    ]
    for transfer_id, shard, index in await connection.fetch(_ANYWHERE, doubtful) if doubtful else ():
        found[transfer_id].add(Place(shard, index))
    return {transfer_id: sorted(places) for transfer_id, places in found.items()}


async def find_entries(connection: asyncpg.Connection, index: int, account_ids: Sequence[str]) -> list[tuple[str, int]]:
    """Return (account_id, amount_minor) of what a record entered on these accounts, sorted.

    Searched by the order of an account's entries, so that a busy account is not read: right as long as that holds.
    """
    return sorted((row[0], row[1]) for row in await connection.fetch(_ENTRIES, index, account_ids))
