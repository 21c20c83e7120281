"""`fraud.ruleset_publications`: what went live, in order. INSERT only; without a row here no rule set goes live."""

from collections.abc import Sequence
from dataclasses import astuple
from typing import Final

import asyncpg

from services.fraud.domain.ruleset_publications import Publication
from services.fraud.store.rulesets import move_ruleset

_COLUMNS: Final = "number, version, replaces, basis, agreed_on, approval_id, approved_by, published_by, at"
_INSERT: Final = f"""
    INSERT INTO fraud.ruleset_publications ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""  # noqa: S608 -- written here
_NEWEST_TWO: Final = f"""
    SELECT {_COLUMNS.replace("approval_id", "approval_id::text")} FROM fraud.ruleset_publications
    ORDER BY number DESC LIMIT 2
"""  # noqa: S608 -- as above


async def find_newest_publications(connection: asyncpg.Connection) -> Sequence[Publication]:
    """Return the two newest, newest first."""
    return [Publication(*row) for row in await connection.fetch(_NEWEST_TWO)]


async def keep_publication(connection: asyncpg.Connection, publication: Publication) -> None:
    """Put a rule set live, and retire what it replaces."""
    await connection.execute(_INSERT, *astuple(publication))
    if publication.replaces is not None:
        await move_ruleset(connection, publication.replaces, "retired")
    await move_ruleset(connection, publication.version, "live")
