"""Rule sets as staff see them."""

from libs.common.db.reading import Reading
from libs.common.errors import NotFound
from services.fraud.domain.ruleset_life import NotedEvent, StoredRuleset
from services.fraud.store.rulesets import find_ruleset, list_events, list_rulesets


class RulesetsView:
    """Reads rule sets. Raises: Unavailable."""

    def __init__(self, reading: Reading) -> None:
        """Use connections for reading, not the one that decides."""
        self._reading = reading

    async def page(self, *, below: int, limit: int) -> list[StoredRuleset]:
        """Return a page, newest first."""
        async with self._reading.connection() as connection:
            return await list_rulesets(connection, below=below, limit=limit)

    async def one(self, version: int) -> tuple[StoredRuleset, list[NotedEvent]]:
        """Return a rule set and what happened to it. Raises: NotFound `ruleset_not_found`."""
        async with self._reading.connection() as connection:
            found = await find_ruleset(connection, version)
            if found is None:
                raise NotFound("ruleset_not_found", "There is no rule set of this version.")
            return found, list(await list_events(connection, version))
