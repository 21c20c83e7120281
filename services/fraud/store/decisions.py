"""`fraud.decisions` and what became of their slots: INSERT only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from libs.common.contracts.fraud import HoldReason, Verdict
from libs.common.errors import Unavailable

_FIND: Final = """
    SELECT asked.place, d.decision_id::text, d.verdict, d.code, d.reasons, d.ruleset, d.facts, d.decided_at, d.command
    FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (transfer_id, place)
    JOIN fraud.decisions d ON d.transfer_id = asked.transfer_id
"""

_INSERT: Final = """
    INSERT INTO fraud.decisions (transfer_id, decision_id, user_id, verdict, code, reasons, usd_minor, features, facts,
                                 decided_at, command, ruleset)
    SELECT d.transfer_id, d.decision_id, d.user_id, d.verdict, d.code, string_to_array(d.reasons, ','), d.usd_minor,
           d.features, d.facts, d.decided_at, d.command, $12
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bytea[],
                $9::bytea[], $10::timestamptz[], $11::bytea[])
        AS d (transfer_id, decision_id, user_id, verdict, code, reasons, usd_minor, features, facts, decided_at,
              command)
"""


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision as it was sent. `facts` and `command` are JSON; None where there are none, or none of its own."""

    decision_id: str
    verdict: Verdict
    code: str
    reasons: list[HoldReason]
    ruleset: int
    facts: bytes | None
    decided_at: datetime
    command: bytes | None


@dataclass(frozen=True, slots=True)
class NewDecision:
    """A decision to be kept. `reasons` are joined by commas; `features` is JSON."""

    transfer_id: str
    decision_id: str
    user_id: str | None
    verdict: Verdict
    code: str
    reasons: str
    usd_minor: int
    features: bytes
    facts: bytes | None
    decided_at: datetime
    command: bytes | None


async def find_decisions(connection: asyncpg.Connection, transfer_ids: Sequence[str]) -> dict[str, StoredDecision]:
    """Return transfer_id → stored decision, for those decided before."""
    rows = await connection.fetch(_FIND, transfer_ids)
    return {transfer_ids[place - 1]: StoredDecision(*columns) for place, *columns in rows}


async def insert_decisions(connection: asyncpg.Connection, decisions: Sequence[NewDecision], *, ruleset: int) -> None:
    """Keep decisions. Raises: Unavailable `decided_elsewhere` when another process was first with one of them."""
    try:
        await connection.execute(
            _INSERT,
            [decision.transfer_id for decision in decisions],
            [decision.decision_id for decision in decisions],
            [decision.user_id for decision in decisions],
            [decision.verdict for decision in decisions],
            [decision.code for decision in decisions],
            [decision.reasons for decision in decisions],
            [decision.usd_minor for decision in decisions],
            [decision.features for decision in decisions],
            [decision.facts for decision in decisions],
            [decision.decided_at for decision in decisions],
            [decision.command for decision in decisions],
            ruleset,
        )
    except asyncpg.UniqueViolationError as failure:
        if failure.constraint_name != "decisions_pkey":
            raise
        raise Unavailable(
            "decided_elsewhere", "Another process decided one of these meanwhile; try again."
        ) from failure
