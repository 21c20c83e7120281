"""A stored decision with everything it rested on, for staff who must explain it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.common.db.failures import DATABASE_FAILURES, as_unavailable
from libs.common.errors import NotFound

_SELECT: Final = text("""
    SELECT d.transfer_id::text, d.decision_id::text, d.user_id::text, d.verdict, d.code, d.reasons, d.ruleset,
           d.usd_minor, d.features, d.facts, d.decided_at, r.reason AS slot_released_because,
           h.status AS hold_status, h.reasons AS hold_remaining, h.resolved_at AS hold_resolved_at
    FROM fraud.decisions d
    LEFT JOIN fraud.limit_releases r ON r.transfer_id = d.transfer_id
    LEFT JOIN fraud.holds h ON h.transfer_id = d.transfer_id
    WHERE d.transfer_id = CAST(:transfer_id AS uuid)
""")


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


class ShowDecision:
    """Reads one decision."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use this engine, not the connection that decides."""
        self._engine = engine

    async def __call__(self, transfer_id: str) -> Decision:
        """Return the decision on a transfer. Raises: NotFound `decision_not_found`, Unavailable."""
        try:
            async with self._engine.connect() as connection:
                row = (await connection.execute(_SELECT, {"transfer_id": transfer_id})).one_or_none()
        except DATABASE_FAILURES as failure:
            unavailable = as_unavailable(failure)
            if unavailable is None:
                raise
            raise unavailable from failure
        if row is None:
            raise NotFound("decision_not_found", "There is no decision on a transfer of this id.")
        columns = dict(row._mapping)  # noqa: SLF001 -- SQLAlchemy's documented way to a row's names
        columns["features"] = msgspec.json.decode(columns["features"])
        columns["facts"] = msgspec.json.decode(columns["facts"] or b"{}")
        return Decision(**columns)
