"""A stored decision with everything it rested on, for staff who must explain it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
import msgspec

from libs.common.db.reading import Reading
from libs.common.errors import NotFound
from libs.common.ids import moment_of
from services.fraud.domain.explanation import Explanation, ShownEntry, explain
from services.fraud.domain.reviews import require_outsider
from services.fraud.domain.rules import RulesetDocument
from services.fraud.domain.stored_features import Features
from services.fraud.store.limit_history import find_limits_then
from services.fraud.store.ruleset_texts import read_for_staff

_decode: Final = msgspec.json.Decoder(Features).decode

_SELECT: Final = """
    SELECT d.transfer_id::text, d.decision_id::text, d.user_id::text, d.verdict, d.code, d.reasons, d.ruleset,
           d.usd_minor, d.features, d.facts, d.decided_at, r.reason AS slot_released_because,
           h.status AS hold_status, h.reasons AS hold_remaining, h.resolved_at AS hold_resolved_at
    FROM fraud.decisions d
    LEFT JOIN fraud.limit_releases r ON r.transfer_id = d.transfer_id
    LEFT JOIN fraud.holds h ON h.transfer_id = d.transfer_id
"""
_OF_TRANSFER: Final = _SELECT + " WHERE d.transfer_id = $1::uuid"
# No index has decision ids: writing one would cost every decision. Their own time narrows the search to what was
# decided within a minute of it, which the index by time finds.
_OF_DECISION: Final = (
    _SELECT + " WHERE d.decision_id = $1::uuid AND d.decided_at BETWEEN $2::timestamptz - $3::interval AND $2 + $3"
)
_ENTRIES: Final = """
    SELECT entry_id::text, list, subject, rule_id, reason, added_by, expires_at FROM fraud.list_entries
    WHERE entry_id = ANY($1::uuid[]) ORDER BY entry_id
"""
_AROUND: Final = timedelta(minutes=1)
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RULESETS_KEPT: Final = 16


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision as stored. `features` and `facts` are JSON objects; `hold_*` are empty for what never waited."""

    transfer_id: str
    decision_id: str
    user_id: str | None
    verdict: str
    code: str
    reasons: list[str]
    ruleset: int
    usd_minor: int
    features: dict[str, Any]
    facts: dict[str, int | str]
    decided_at: datetime
    slot_released_because: str | None
    hold_status: str | None
    hold_remaining: list[str] | None
    hold_resolved_at: datetime | None
    explanation: Explanation


class ShowDecision:
    """Reads and explains one decision to somebody who takes no part in it: nobody learns what he is suspected of.

    Raises: NotFound `decision_not_found`, Forbidden `own_transfer`, Unavailable.
    """

    def __init__(self, reading: Reading) -> None:
        """Use connections for reading, not the one that decides."""
        self._reading = reading
        self._documents: dict[int, RulesetDocument] = {}

    async def __call__(self, transfer_id: str, *, reader_id: str) -> Decision:
        """Return the decision on a transfer."""
        async with self._reading.connection() as connection:
            return await self._explained(connection, await connection.fetchrow(_OF_TRANSFER, transfer_id), reader_id)

    async def by_id(self, decision_id: str, *, reader_id: str) -> Decision:
        """Return the decision of this id, made within a minute of the moment that the id itself tells."""
        made_at = moment_of(decision_id) or _LONG_AGO
        async with self._reading.connection() as connection:
            row = await connection.fetchrow(_OF_DECISION, decision_id, made_at, _AROUND)
            return await self._explained(connection, row, reader_id)

    async def _explained(self, connection: asyncpg.Connection, row: asyncpg.Record | None, reader_id: str) -> Decision:
        if row is None:
            raise NotFound("decision_not_found", "There is no such decision.")
        columns = dict(row)
        features = _decode(columns["features"])
        require_outsider(
            [columns["user_id"], features.payer_id, *(user_id for user_id, _, _ in features.payees)], reader_id
        )
        explanation = explain(
            features,
            verdict=columns["verdict"],
            code=columns["code"],
            reasons=columns["reasons"],
            document=await self._document(connection, columns["ruleset"]),
            limits=await find_limits_then(connection, columns["user_id"], features),
            entries=[ShownEntry(*entry) for entry in await connection.fetch(_ENTRIES, features.listed)],
        )
        columns["features"] = msgspec.json.decode(columns["features"])
        columns["facts"] = msgspec.json.decode(columns["facts"] or b"{}")
        return Decision(**columns, explanation=explanation)

    async def _document(self, connection: asyncpg.Connection, version: int) -> RulesetDocument | None:
        if version not in self._documents:
            text = await connection.fetchval("SELECT document FROM fraud.rulesets WHERE version = $1", version)
            if text is None:
                return None
            if len(self._documents) >= _RULESETS_KEPT:
                self._documents.clear()
            self._documents[version] = await read_for_staff(text)
        return self._documents[version]
