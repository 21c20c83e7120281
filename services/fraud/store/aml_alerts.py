"""`fraud.alerts` as the watcher writes them: opened by new transfers, joined by more of the same."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from libs.common.ids import new_id
from services.fraud.domain.aml_edges import Edge, Finding
from services.fraud.domain.moments import from_us

PROOF_MAX: Final = 1_000
"""How many transfers one alert holds; the database keeps to it."""

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
    VALUES ($1, $2, $3, $4, $5, $4, $6, $7, $8, $9)
"""

_JOIN: Final = """
    UPDATE fraud.alerts SET version = version + 1, changed_at = $2, window_from = least(window_from, $3),
        window_to = greatest(window_to, $4), score = greatest(score, $5), transfers = transfers + $6
    WHERE alert_id = $1
"""

_PROVE: Final = """
    INSERT INTO fraud.alert_transfers (alert_id, shard, journal_index, place, transfer_id, payer_id, payee_id,
                                       usd_minor, posted_at)
    SELECT $1, * FROM unnest($2::int[], $3::bigint[], $4::smallint[], $5::uuid[], $6::uuid[], $7::uuid[],
                             $8::bigint[], $9::timestamptz[])
"""

_SAY: Final = """
    INSERT INTO fraud.alert_events (alert_id, version, event, from_state, to_state, text, at)
    SELECT a.alert_id, a.version, $2, $3, a.state, '', $4 FROM fraud.alerts a WHERE a.alert_id = $1
"""


class Raised(NamedTuple):
    """What became of a finding: an alert it opened, or joined."""

    alert_id: str
    finding: Finding
    is_new: bool


async def raise_alerts(
    connection: asyncpg.Connection, findings: Collection[tuple[Finding, int]], now: datetime
) -> list[Raised]:
    """Open or join an alert for each (finding, version of the parameters) with a transfer that none on him proves yet.

    A new alert has all that proves it; one that is joined gets what it lacks, up to `PROOF_MAX`. At most one finding
    of a subject and typology. Idempotent by: subject, typology, transfers. Locks: the alerts that are not closed.
    """
    if not findings:
        return []
    subjects = [finding.subject_id for finding, _ in findings]
    rows = await connection.fetch(_UNCLOSED, subjects, [finding.typology for finding, _ in findings])
    unclosed = {(subject, typology): (alert_id, count) for subject, typology, alert_id, count in rows}
    # A full alert takes nothing more; else who is paid all day would have all his payments looked up all day.
    room = [
        (finding, version, alert_id, PROOF_MAX - count)
        for finding, version in findings
        for alert_id, count in [unclosed.get((finding.subject_id, finding.typology), (None, 0))]
        if count < PROOF_MAX
    ]
    proven = await _proven(connection, [finding for finding, *_ in room]) if room else {}
    raised = []
    for finding, version, alert_id, left in room:
        known = proven.get((finding.subject_id, finding.typology), set())
        new = [edge for edge in finding.edges if edge.record not in known]
        if not new:
            continue
        if alert_id is None:
            raised.append(Raised(await _open(connection, finding, version, now), finding, is_new=True))
        else:
            await _join(connection, alert_id, finding, new[:left], now)
            raised.append(Raised(alert_id, finding, is_new=False))
    return raised


async def _proven(
    connection: asyncpg.Connection, findings: Sequence[Finding]
) -> dict[tuple[str, str], set[tuple[int, int, int]]]:
    """Return (subject, typology) → the records, of these findings, that an alert on him has, closed or not."""
    asked = [(finding.subject_id, finding.typology, *edge.record) for finding in findings for edge in finding.edges]
    found: dict[tuple[str, str], set[tuple[int, int, int]]] = {}
    for subject, typology, *record in await connection.fetch(_PROVEN, *map(list, zip(*asked, strict=True))):
        shard, journal_index, place = record
        found.setdefault((subject, typology), set()).add((shard, journal_index, place))
    return found


async def _open(connection: asyncpg.Connection, finding: Finding, version: int, now: datetime) -> str:
    alert_id = new_id()
    edges = finding.edges[-PROOF_MAX:]
    await connection.execute(
        _OPEN,
        alert_id,
        finding.typology,
        finding.subject_id,
        now,
        version,
        from_us(edges[0].posted_us),
        from_us(edges[-1].posted_us),
        finding.score,
        len(edges),
    )
    await _prove(connection, alert_id, edges)
    await connection.execute(_SAY, alert_id, "opened", None, now)
    return alert_id


async def _join(
    connection: asyncpg.Connection, alert_id: str, finding: Finding, new: Sequence[Edge], now: datetime
) -> None:
    await connection.execute(
        _JOIN,
        alert_id,
        now,
        from_us(new[0].posted_us),
        from_us(new[-1].posted_us),
        finding.score,
        len(new),
    )
    await _prove(connection, alert_id, new)
    await connection.execute(_SAY, alert_id, "joined", None, now)


async def _prove(connection: asyncpg.Connection, alert_id: str, edges: Sequence[Edge]) -> None:
    await connection.execute(
        _PROVE,
        alert_id,
        [edge.shard for edge in edges],
        [edge.journal_index for edge in edges],
        [edge.place for edge in edges],
        [edge.transfer_id for edge in edges],
        [edge.payer_id for edge in edges],
        [edge.payee_id for edge in edges],
        [edge.usd_minor for edge in edges],
        [from_us(edge.posted_us) for edge in edges],
    )
