"""`ledger.reconciliations` and their results: a run that began and has no result is under way, or its process died."""

from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

import asyncpg
import msgspec

Cause = Literal["start", "nightly", "request"]
Verdict = Literal["agrees", "differs", "incomplete", "failed"]

_COLUMNS: Final = "run_id::text, scope, cause, asked_by::text, began_at, ended_at, verdict, differences"
_BEGIN: Final = """
INSERT INTO ledger.reconciliations (run_id, scope, cause, asked_by, began_at) VALUES ($1, $2, $3, $4, $5)
"""
_END: Final = """
INSERT INTO ledger.reconciliation_results (run_id, ended_at, verdict, differences, report)
VALUES ($1, $2, $3, $4, $5::jsonb)
"""
_LAST: Final = f"""
SELECT {_COLUMNS} FROM ledger.reconciliations LEFT JOIN ledger.reconciliation_results USING (run_id)
ORDER BY began_at DESC, run_id DESC LIMIT $1
"""  # noqa: S608 -- made of texts written here
_ONE: Final = f"""
SELECT {_COLUMNS}, report::text
FROM ledger.reconciliations LEFT JOIN ledger.reconciliation_results USING (run_id) WHERE run_id = $1
"""  # noqa: S608 -- made of texts written here
_WHOLE: Final = """
SELECT max(ended_at) FROM ledger.reconciliations JOIN ledger.reconciliation_results USING (run_id)
WHERE scope = 'all' AND verdict IN ('agrees', 'differs')
"""
_NIGHTLY: Final = "SELECT max(began_at) FROM ledger.reconciliations WHERE cause = 'nightly'"
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode
_encode: Final = msgspec.json.Encoder().encode


class Run(NamedTuple):
    """A run as it is listed; `verdict` is None while it has no result, and so is `ended_at`."""

    run_id: str
    scope: str
    cause: str
    asked_by: str | None
    began_at: datetime
    ended_at: datetime | None
    verdict: str | None
    differences: int | None


async def begin_run(
    connection: asyncpg.Connection, run_id: str, scope: str, cause: Cause, asked_by: str | None, now: datetime
) -> None:
    """Note that a run begins."""
    await connection.execute(_BEGIN, run_id, scope, cause, asked_by, now)


async def end_run(
    connection: asyncpg.Connection, run_id: str, verdict: Verdict, differences: int, report: object, now: datetime
) -> None:
    """Note what it found."""
    await connection.execute(_END, run_id, now, verdict, differences, _encode(report).decode())


async def load_last_runs(connection: asyncpg.Connection, limit: int) -> list[Run]:
    """Return the newest runs, newest first."""
    return [Run(*row) for row in await connection.fetch(_LAST, limit)]


async def load_run(connection: asyncpg.Connection, run_id: str) -> tuple[Run, dict[str, Any] | None] | None:
    """Return a run with its report; None when there is no such run."""
    row = await connection.fetchrow(_ONE, run_id)
    if row is None:
        return None
    *columns, report = row
    return Run(*columns), None if report is None else _decode(report)


async def last_nightly_began_at(connection: asyncpg.Connection) -> datetime | None:
    """Return when the newest nightly run began."""
    began_at: datetime | None = await connection.fetchval(_NIGHTLY)
    return began_at


async def last_whole_ended_at(connection: asyncpg.Connection) -> datetime | None:
    """Return when the newest whole run ended that could ask everybody."""
    ended_at: datetime | None = await connection.fetchval(_WHOLE)
    return ended_at
