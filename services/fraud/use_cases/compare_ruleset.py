"""How risky it is to put a rule set live: beside what is live now, and beside what two people agreed on last."""

import asyncpg

from libs.common.errors import Unprocessable
from services.fraud.domain.rules import RulesetDocument
from services.fraud.domain.ruleset_life import Risk, StoredRuleset
from services.fraud.domain.ruleset_publications import change_of
from services.fraud.store.ruleset_publications import find_newest_publications
from services.fraud.store.ruleset_texts import read_for_staff
from services.fraud.store.rulesets import find_live_ruleset, find_ruleset


async def compare_ruleset(connection: asyncpg.Connection, document: RulesetDocument) -> Risk:
    """Return the risk. Beside what is there but cannot be read any more, everything is of high risk."""
    live = await _readable(await find_live_ruleset(connection))
    newest = await find_newest_publications(connection)
    agreed = await _readable(await find_ruleset(connection, newest[0].agreed_on)) if newest else None
    return change_of(document, live, agreed)


async def _readable(ruleset: StoredRuleset | None) -> RulesetDocument | None:
    try:
        return None if ruleset is None else await read_for_staff(ruleset.document)
    except Unprocessable:
        return None
