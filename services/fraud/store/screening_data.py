"""Rule sets and list entries as they stand, read together at one version."""

from typing import Final, NamedTuple

import asyncpg
import structlog

from libs.common.errors import Unavailable, Unprocessable
from libs.common.origins import OriginKeys
from services.fraud.domain.lists import Entry, Lists
from services.fraud.domain.moments import to_us
from services.fraud.domain.rulesets import Ruleset
from services.fraud.store.ruleset_texts import compile_to_decide

log = structlog.get_logger()

_VERSION: Final = "SELECT version FROM fraud.screening_data WHERE only_row"
_KEEP_STILL: Final = f"{_VERSION} FOR SHARE"
# Texts are long, and to read one again takes a hundred times as long as to decide; what was read stands for ever.
_RULESETS: Final = """
    SELECT version, status, CASE WHEN version <> ALL ($1::integer[]) THEN document END FROM fraud.rulesets
    WHERE status IN ('live', 'shadow')
"""
_ENTRIES: Final = """
    SELECT entry_id::text, list, subject, value, other, rule_id, expires_at,
           CASE WHEN list IN ('allow', 'snooze') THEN added_by ELSE '' END
    FROM fraud.list_entries
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


async def load_screening_data(
    connection: asyncpg.Connection, origins: OriginKeys, before: ScreeningData | None
) -> ScreeningData:
    """Read everything that stands. The version is read first: what changes meanwhile is found out when it is used.

    Rule sets of `before`, which was read last, are not read again: their texts never change.
    Raises: Unavailable `rules_unreadable`.
    """
    version = await read_screening_version(connection)
    known = {} if before is None else {one.version: one for one in (before.live, *before.shadows) if one is not None}
    live: Ruleset | None = None
    shadows: list[Ruleset] = []
    for number, status, document in await connection.fetch(_RULESETS, list(known)):
        if status == "live":
            live = known.get(number) or await _compiled(number, document)
        else:
            shadows += [known[number]] if number in known else await _shadow(number, document)
    entries = [
        Entry(entry_id, name, subject, _key(origins, subject, value, other), rule_id, to_us(ends) if ends else 0, by)
        for entry_id, name, subject, value, other, rule_id, ends, by in await connection.fetch(_ENTRIES)
    ]
    return ScreeningData(version, live, tuple(shadows), Lists(entries))


async def _compiled(version: int, document: str) -> Ruleset:
    """Compile a rule set that was readable when it was written.

    A newer process may have published it with features that this one does not know. That passes when this one is
    replaced, or when another set is put live: until then transfers wait. A refusal would have them set aside for good.
    """
    try:
        return await compile_to_decide(version, document)
    except Unprocessable as failure:
        raise Unavailable(
            "rules_unreadable", f"Rule set {version} cannot be read: {failure.detail}", ruleset=version
        ) from failure


async def _shadow(version: int, document: str) -> list[Ruleset]:
    """Return the rule set, or none if it cannot be read any more: then it judges nothing, and keeps nobody waiting."""
    try:
        return [await _compiled(version, document)]
    except (Unavailable, ValueError) as failure:
        log.warning("shadow_ruleset_unreadable", ruleset=version, failure=str(failure))
        return []


def _key(origins: OriginKeys, subject: str, value: str, other: str) -> str:
    if subject == "pair":
        return f"{value}>{other}"
    if subject == "address":
        return str(origins.address(value))
    if subject == "device":
        return str(origins.device(value))
    return value
