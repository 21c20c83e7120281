"""`fraud.alerts` as the watcher writes them: opened by new transfers, joined by more of the same."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg

from libs.common.ids import new_id
from services.fraud.domain.aml_edges import EDGES_MAX, Edge, Finding
from services.fraud.domain.moments import from_us

PROOF_MAX: Final = 1_000
"""How many transfers one alert holds; the database keeps to it."""
_PROVEN_KEPT_MAX: Final = 4 * EDGES_MAX

_UNCLOSED: Final = """
    SELECT a.subject_id::text, a.typology, a.alert_id::text, a.transfers
    FROM unnest($1::uuid[], $2::text[]) AS asked (subject_id, typology)
    JOIN fraud.alerts a ON a.subject_id = asked.subject_id AND a.typology = asked.typology
    WHERE a.state IN ('open', 'in_review') ORDER BY a.alert_id FOR UPDATE OF a
"""

_PROVEN: Final = """
    SELECT a.subject_id::text, a.typology, t.shard, t.journal_index, t.place
    FROM unnest($1::uuid[], $2::text[], $3::int[], $4::bigint[], $5::smallint[])
        AS asked (subject_id, typology, shard, journal_index, place)
    JOIN fraud.alerts a ON a.subject_id = asked.subject_id AND a.typology = asked.typology
    JOIN fraud.alert_transfers t ON t.alert_id = a.alert_id AND t.shard = asked.shard
        AND t.journal_index = asked.journal_index AND t.place = asked.place
"""

_OPEN: Final = """
    INSERT INTO fraud.alerts (alert_id, typology, subject_id, opened_at, parameters_version, changed_at, window_from,
                              window_to, score, transfers)
    SELECT o.alert_id, o.typology, o.subject_id, $8, o.parameters_version, $8, o.window_from, o.window_to, o.score,
        o.transfers
    FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::smallint[], $5::int[], $6::text[], $7::uuid[],
                $9::int[])
        AS o (alert_id, window_from, window_to, score, transfers, typology, subject_id, parameters_version)
"""

_JOIN: Final = """
    UPDATE fraud.alerts a SET version = a.version + 1, changed_at = $6, window_from = least(a.window_from, j.first_at),
        window_to = greatest(a.window_to, j.last_at), score = greatest(a.score, j.score),
        transfers = a.transfers + j.transfers
    FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::smallint[], $5::int[])
        AS j (alert_id, first_at, last_at, score, transfers)
    WHERE a.alert_id = j.alert_id
"""

_PROVE: Final = """
    INSERT INTO fraud.alert_transfers (alert_id, posted_at, shard, journal_index, place, transfer_id, payer_id,
                                       payee_id, usd_minor)
    SELECT p.alert_id, timestamptz 'epoch' + p.posted_us * interval '1 microsecond', p.shard, p.journal_index, p.place,
        p.transfer_id, p.payer_id, p.payee_id, p.usd_minor
    FROM unnest($1::uuid[], $2::bigint[], $3::int[], $4::bigint[], $5::smallint[], $6::uuid[], $7::uuid[], $8::uuid[],
                $9::bigint[])
        AS p (alert_id, posted_us, shard, journal_index, place, transfer_id, payer_id, payee_id, usd_minor)
"""

_SAY: Final = """
    INSERT INTO fraud.alert_events (alert_id, version, event, from_state, to_state, text, at)
    SELECT a.alert_id, a.version, said.event, NULL, a.state, '', $3
    FROM unnest($1::uuid[], $2::text[]) AS said (alert_id, event) JOIN fraud.alerts a ON a.alert_id = said.alert_id
"""


class Found(NamedTuple):
    """A finding, by which version of the figures, and the numbers of his payments that an alert is known to have.

    These grow by what is asked of the table and by what is written there.
    """

    finding: Finding
    version: int
    proven: set[int]

    @property
    def about(self) -> tuple[str, str]:
        """Return the subject and the typology."""
        return (self.finding.subject_id, self.finding.typology)

    def left(self) -> list[Edge]:
        """Return what no alert is known to have."""
        return [edge for edge in self.finding.edges if edge.edge_no not in self.proven]


class Raised(NamedTuple):
    """What became of a finding: an alert it opened, or joined, and the payments that this put there."""

    alert_id: str
    finding: Finding
    version: int
    put: Sequence[Edge]
    is_new: bool


async def raise_alerts(connection: asyncpg.Connection, found: Sequence[Found], now: datetime) -> list[Raised]:
    """Open or join an alert for each that has a transfer which none on him proves yet.

    A new alert has all that proves it; one that is joined gets what it lacks, up to `PROOF_MAX`. At most one finding
    of a subject and typology. Idempotent by: subject, typology, transfers. Locks: the alerts that are not closed.
    """
    left = [(one, edges) for one in found if (edges := one.left())]
    if not left:
        return []
    rows = await connection.fetch(_UNCLOSED, *map(list, zip(*[one.about for one, _ in left], strict=True)))
    unclosed = {(subject, typology): (alert_id, count) for subject, typology, alert_id, count in rows}
    # A full alert takes nothing more; else who is paid all day would have all his payments looked up all day.
    left = [(one, edges) for one, edges in left if unclosed.get(one.about, ("", 0))[1] < PROOF_MAX]
    raised = []
    for one, edges in await _look_up(connection, left) if left else []:
        alert_id, count = unclosed.get(one.about, (None, 0))
        put = one.finding.edges[-PROOF_MAX:] if alert_id is None else edges[: PROOF_MAX - count]
        raised.append(Raised(alert_id or new_id(), one.finding, one.version, put, is_new=alert_id is None))
        _remember(one, put)
    if raised:
        await _write(connection, raised, now)
    return raised


async def _look_up(
    connection: asyncpg.Connection, left: Sequence[tuple[Found, list[Edge]]]
) -> list[tuple[Found, list[Edge]]]:
    """Return, of these payments, those that no alert has, closed or not; who has none of them is left out."""
    asked = [(*one.about, edge) for one, edges in left for edge in edges]
    rows = await connection.fetch(
        _PROVEN,
        [subject for subject, _, _ in asked],
        [typology for _, typology, _ in asked],
        [edge.shard for _, _, edge in asked],
        [edge.journal_index for _, _, edge in asked],
        [edge.place for _, _, edge in asked],
    )
    proven = {tuple(row) for row in rows}
    if not proven:
        return list(left)
    for one, edges in left:
        _remember(one, [edge for edge in edges if (*one.about, *edge.record) in proven])
    looked_up = [(one, [edge for edge in edges if edge.edge_no not in one.proven]) for one, edges in left]
    return [(one, edges) for one, edges in looked_up if edges]


def _remember(one: Found, put: Sequence[Edge]) -> None:
    one.proven.update(edge.edge_no for edge in put)
    if len(one.proven) > _PROVEN_KEPT_MAX:
        one.proven.intersection_update([edge.edge_no for edge in one.finding.edges])


async def _write(connection: asyncpg.Connection, raised: Sequence[Raised], now: datetime) -> None:
    opened = [one for one in raised if one.is_new]
    joined = [one for one in raised if not one.is_new]
    if opened:
        about = [(one.finding.typology, one.finding.subject_id) for one in opened]
        versions = [one.version for one in opened]
        await connection.execute(_OPEN, *_columns(opened), *map(list, zip(*about, strict=True)), now, versions)
    if joined:
        await connection.execute(_JOIN, *_columns(joined), now)
    proof = [(one.alert_id, edge) for one in raised for edge in one.put]
    edges = [edge for _, edge in proof]
    await connection.execute(
        _PROVE,
        [alert_id for alert_id, _ in proof],
        [edge.posted_us for edge in edges],
        [edge.shard for edge in edges],
        [edge.journal_index for edge in edges],
        [edge.place for edge in edges],
        [edge.transfer_id for edge in edges],
        [edge.payer_id for edge in edges],
        [edge.payee_id for edge in edges],
        [edge.usd_minor for edge in edges],
    )
    events = ["opened" if one.is_new else "joined" for one in raised]
    await connection.execute(_SAY, [one.alert_id for one in raised], events, now)


def _columns(raised: Sequence[Raised]) -> tuple[list[Any], ...]:
    """Return alerts, first and last moment, score and number of what was put there."""
    rows = [
        (one.alert_id, from_us(one.put[0].posted_us), from_us(one.put[-1].posted_us), one.finding.score, len(one.put))
        for one in raised
    ]
    return tuple(map(list, zip(*rows, strict=True)))
