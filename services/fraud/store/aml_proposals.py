"""`fraud.aml_proposals` and how they come into force: rows of `fraud.aml_parameters`, which the watch reads."""

from collections.abc import Sequence
from dataclasses import astuple, fields
from datetime import datetime
from typing import Any, Final

import asyncpg

from services.fraud.domain.aml_parameters import AmlParameters, AmlProposal

_NAMES: Final = [field.name for field in fields(AmlParameters)]
_FIGURES: Final = ", ".join(_NAMES)
_PROPOSED: Final = f"""
    SELECT p.profile, p.reason, p.proposed_by, p.proposed_at, f.approved_by, f.published_at,
        f.version IS NULL AND fraud.is_void(p.proposed_by, p.proposed_at),
        {", ".join(f"p.{name}" for name in _NAMES)}
    FROM fraud.aml_proposals p
    LEFT JOIN fraud.aml_parameters f ON f.version = p.version AND f.profile = p.profile
"""  # noqa: S608 -- columns are the fields of the class
_PAGE: Final = f"{_PROPOSED} WHERE p.profile = $1 AND p.version < $2 ORDER BY p.version DESC LIMIT $3"
_ONE: Final = f"{_PROPOSED} WHERE p.profile = $1 AND p.version = $2"
_IN_FORCE: Final = f"{_PROPOSED} WHERE p.profile = $1 AND f.version IS NOT NULL ORDER BY p.version DESC LIMIT 1"
# One writer at a time: versions are counted over all profiles, so that an alert's version alone says which figures.
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('fraud.aml_proposals', 0))"
_NEXT: Final = "SELECT max(version) + 1 FROM fraud.aml_proposals"
_PROPOSE: Final = f"""
    INSERT INTO fraud.aml_proposals (profile, reason, proposed_by, proposed_at, {_FIGURES})
    VALUES ({", ".join(f"${number}" for number in range(1, 5 + len(_NAMES)))})
"""  # noqa: S608 -- as above
_APPROVE: Final = f"""
    INSERT INTO fraud.aml_parameters (profile, reason, published_by, published_at, approved_by, approval_reason,
                                      {_FIGURES})
    SELECT profile, reason, proposed_by, $5, $3, $4, {_FIGURES} FROM fraud.aml_proposals
    WHERE profile = $1 AND version = $2
"""  # noqa: S608 -- as above


async def lock_proposals(connection: asyncpg.Connection) -> None:
    """Keep others from proposing or approving until the commit."""
    await connection.execute(_LOCK)


async def next_version(connection: asyncpg.Connection) -> int:
    """Return the version of what is proposed next, for whichever profile."""
    version: int = await connection.fetchval(_NEXT)
    return version


async def save_proposal(connection: asyncpg.Connection, proposal: AmlProposal) -> None:
    """Store a proposal."""
    await connection.execute(
        _PROPOSE,
        proposal.profile,
        proposal.reason,
        proposal.proposed_by,
        proposal.proposed_at,
        *astuple(proposal.parameters),
    )


async def put_in_force(
    connection: asyncpg.Connection, proposal: AmlProposal, *, approver: str, reason: str, at: datetime
) -> None:
    """Let the watch judge by it, from its next page of payments on."""
    await connection.execute(_APPROVE, proposal.profile, proposal.parameters.version, approver, reason, at)


async def list_proposals(connection: asyncpg.Connection, profile: str, *, below: int, limit: int) -> list[AmlProposal]:
    """Return a page of a profile's proposals, newest first."""
    return [_proposal(row) for row in await connection.fetch(_PAGE, profile, below, limit)]


async def find_proposal(connection: asyncpg.Connection, profile: str, version: int) -> AmlProposal | None:
    """Return one, if there is such a version of this profile."""
    row = await connection.fetchrow(_ONE, profile, version)
    return None if row is None else _proposal(row)


async def find_in_force(connection: asyncpg.Connection, profile: str) -> AmlProposal:
    """Return what the watch judges this profile by."""
    return _proposal(await connection.fetchrow(_IN_FORCE, profile))


def _proposal(row: Sequence[Any]) -> AmlProposal:
    profile, reason, proposed_by, proposed_at, approved_by, approved_at, is_void, *figures = row
    parameters = AmlParameters(*figures)
    return AmlProposal(profile, parameters, reason, proposed_by, proposed_at, approved_by, approved_at, is_void)
