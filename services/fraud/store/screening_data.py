"""Rule sets and list entries as they stand, read together at one version."""

from typing import Final, NamedTuple

import asyncpg

from libs.common.errors import Unavailable, Unprocessable
from libs.common.origins import OriginKeys
from services.fraud.domain.lists import Entry, Lists
from services.fraud.domain.moments import to_us
from services.fraud.domain.ruleset_reading import read_ruleset
from services.fraud.domain.rulesets import Ruleset

_VERSION: Final = "SELECT version FROM fraud.screening_data WHERE only_row"
_KEEP_STILL: Final = f"{_VERSION} FOR SHARE"
_RULESETS: Final = "SELECT version, status, document FROM fraud.rulesets WHERE status IN ('live', 'shadow')"
_ENTRIES: Final = """
    SELECT entry_id::text, list, subject, value, other, rule_id, expires_at FROM fraud.list_entries
    WHERE removed_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""


class ScreeningData(NamedTuple):
    """What decides beside limits and KYC. A decision may stand only while `version` is the database's."""

    version: int
    live: Ruleset | None
    shadows: tuple[Ruleset, ...]
    lists: Lists


async def read_screening_version(connection: asyncpg.Connection) -> int:
    """Return the version of what stands now."""
    version: int = await connection.fetchval(_VERSION)
    return version


async def lock_screening_version(connection: asyncpg.Connection) -> int:
    """Return the version of what stands now, and until the transaction has ended. Locks: whoever would change it."""
    version: int = await connection.fetchval(_KEEP_STILL)
    return version


async def load_screening_data(connection: asyncpg.Connection, origins: OriginKeys) -> ScreeningData:
    """Read everything that stands. The version is read first: what changes meanwhile is found out when it is used.

    Raises: Unavailable `rules_unreadable`.
    """
    version = await read_screening_version(connection)
    live: Ruleset | None = None
    shadows: list[Ruleset] = []
    for number, status, document in await connection.fetch(_RULESETS):
        ruleset = _compiled(number, document)
        if status == "live":
            live = ruleset
        else:
            shadows.append(ruleset)
    entries = [
        Entry(entry_id, name, subject, _key(origins, subject, value, other), rule_id, to_us(ends) if ends else 0)
        for entry_id, name, subject, value, other, rule_id, ends in await connection.fetch(_ENTRIES)
    ]
    return ScreeningData(version, live, tuple(shadows), Lists(entries))


def _compiled(version: int, document: str) -> Ruleset:
    """Compile a rule set that was readable when it was written.

    A newer process may have published it with features that this one does not know. That passes when this one is
    replaced, or when another set is put live: until then transfers wait. A refusal would have them set aside for good.
    """
    try:
        return Ruleset(version, read_ruleset(document))
    except Unprocessable as failure:
        raise Unavailable(
            "rules_unreadable", f"Rule set {version} cannot be read: {failure.detail}", ruleset=version
        ) from failure


def _key(origins: OriginKeys, subject: str, value: str, other: str) -> str:
    if subject == "pair":
        return f"{value}>{other}"
    if subject == "address":
        return str(origins.address(value))
    if subject == "device":
        return str(origins.device(value))
    return value
