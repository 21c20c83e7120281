"""`fraud.decisions` and what became of their slots: INSERT only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg
import msgspec

from libs.common.contracts.fraud import HoldReason, Verdict
from libs.common.errors import Unavailable
from services.fraud.domain.payer import Payer
from services.fraud.store.users import ADVANCE, next_versions, refuse_moved

_FIND: Final = """
    SELECT asked.place, d.decision_id::text, d.verdict, d.code, d.reasons, d.ruleset, d.facts, d.decided_at, d.command
    FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (transfer_id, place)
    JOIN fraud.decisions d ON d.transfer_id = asked.transfer_id
"""

_INSERT: Final = """
    INSERT INTO fraud.decisions (transfer_id, decision_id, user_id, usd_minor, features, decided_at,
                                 verdict, code, reasons, facts, command, ruleset)
    SELECT d.transfer_id, d.decision_id, d.user_id, d.usd_minor, d.features, d.decided_at,
           d.verdict, d.code, string_to_array(d.reasons, ','), d.facts, d.command, $7
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bytea[], $6::timestamptz[],
                $8::text[], $9::text[], $10::text[], $11::bytea[], $12::bytea[])
        AS d (transfer_id, decision_id, user_id, usd_minor, features, decided_at,
              verdict, code, reasons, facts, command)
"""

# Nearly every decision is this plain, and so travels with its payer's next version. Each array less spares encoding,
# decoding and log. The condition also says who goes first: all payers are locked before a decision is written.
_ADVANCE_AND_INSERT_APPROVED: Final = f"""
    WITH advanced AS ({ADVANCE} RETURNING 1),
    kept AS (
        INSERT INTO fraud.decisions (transfer_id, decision_id, user_id, usd_minor, features, decided_at,
                                     verdict, code, reasons, ruleset)
        SELECT d.transfer_id, d.decision_id, d.user_id, d.usd_minor, d.features, d.decided_at,
               'approve', '', '{{}}', $10
        FROM unnest($4::uuid[], $5::uuid[], $6::uuid[], $7::bigint[], $8::bytea[], $9::timestamptz[])
            AS d (transfer_id, decision_id, user_id, usd_minor, features, decided_at)
        WHERE (SELECT count(*) FROM advanced) = cardinality($1::uuid[])
    )
    SELECT count(*) FROM advanced
"""  # noqa: S608 -- made of statements written here


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


class NewDecision(msgspec.Struct, frozen=True, gc=False):
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


async def keep_decisions(
    connection: asyncpg.Connection, payers: Iterable[Payer], decisions: Sequence[NewDecision], *, ruleset: int
) -> None:
    """Keep decisions, and write the next version of each payer whose limits they moved, provided nobody else has.

    Locks: the payers' rows, in order of their ids.
    Raises: Unavailable `limits_moved`; `decided_elsewhere`, one of them was decided before. The caller undoes the
    transaction, forgets these payers and does the whole work again.
    """
    columns = next_versions(payers)
    plain = [one for one in decisions if one.verdict == "approve" and one.command is None]
    others = [one for one in decisions if one.verdict != "approve" or one.command is not None]
    try:
        if plain or columns[0]:
            written = await connection.fetchval(
                _ADVANCE_AND_INSERT_APPROVED, *columns, *_common_columns(plain), ruleset
            )
            refuse_moved(asked=len(columns[0]), written=written)
        if others:
            await connection.execute(
                _INSERT,
                *_common_columns(others),
                ruleset,
                [one.verdict for one in others],
                [one.code for one in others],
                [one.reasons for one in others],
                [one.facts for one in others],
                [one.command for one in others],
            )
    except asyncpg.UniqueViolationError as failure:
        if failure.constraint_name != "decisions_pkey":
            raise
        raise Unavailable("decided_elsewhere", "One of these was decided before or meanwhile; try again.") from failure


def _common_columns(decisions: Sequence[NewDecision]) -> tuple[list[Any], ...]:
    """Return transfer_id, decision_id, user_id, usd_minor, features and decided_at, a list each."""
    return (
        [one.transfer_id for one in decisions],
        [one.decision_id for one in decisions],
        [one.user_id for one in decisions],
        [one.usd_minor for one in decisions],
        [one.features for one in decisions],
        [one.decided_at for one in decisions],
    )
