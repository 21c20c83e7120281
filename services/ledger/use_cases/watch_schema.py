"""Whether what guards the tables is there: without it the service's own role could change what is proven to others."""

from libs.common.db.hot import HotConnection
from libs.common.errors import Unavailable
from services.ledger.store.protected_objects import PROTECTED_OBJECTS
from services.ledger.store.schema_guard import differing_guards, load_guards


class WatchSchema:
    """Compares triggers, grants and owners with the committed snapshot when told, and says what it saw last."""

    def __init__(self, hot: HotConnection) -> None:
        """Nothing has been seen yet, so nothing is ready."""
        self._hot = hot
        self._trouble: str | None = "triggers and grants have not been looked at yet"

    async def look(self) -> None:
        """Look now."""
        try:
            async with self._hot.autocommit() as connection:
                found = await load_guards(connection)
        except Unavailable as failure:
            self._trouble = f"the database cannot be asked ({failure.code})"
            return
        self._trouble = "; ".join(differing_guards(PROTECTED_OBJECTS, found)) or None

    def trouble(self) -> str | None:
        """Say which object differs and what mends it."""
        return self._trouble
