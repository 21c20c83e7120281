"""What halts a shard, for staff."""

from typing import Any, Final, NamedTuple

import msgspec

from libs.common.clock import to_rfc3339
from libs.common.db.reading import Reading
from services.ledger.store.verifications import is_halted, load_open_findings

_FINDINGS_MAX: Final = 200


class FindingState(NamedTuple):
    """A finding that nobody has released, and its JSON."""

    finding_id: str
    found_at: str
    document: dict[str, Any]


class FindingsView:
    """Reads one shard's open findings."""

    def __init__(self, reading: Reading, shard: int) -> None:
        """Take what it reads with."""
        self._reading = reading
        self._shard = shard

    async def open(self) -> tuple[bool, list[FindingState]]:
        """Return whether the shard is halted, and the oldest open findings. Raises: Unavailable."""
        async with self._reading.connection() as connection:
            halted = await is_halted(connection, self._shard)
            rows = await load_open_findings(connection, self._shard, _FINDINGS_MAX)
        found = [
            FindingState(row.finding_id, to_rfc3339(row.found_at), msgspec.json.decode(row.document)) for row in rows
        ]
        return halted, found
