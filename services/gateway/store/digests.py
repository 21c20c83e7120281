"""What the gateway shows of transfers, as digests, so that the ledger can compare without reading its tables."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from libs.common.db.hot import HotConnection
from libs.common.digests.digest_table import DigestTable

_REQUESTS: Final = "SELECT transfer_id AS id, ''::text AS said FROM gateway.transfers"
# A transfer's newest state is the answer that was frozen, or what happened to it later. Answers to commands stand
# beside those to transfers, and only a reversal is both.
_OUTCOMES: Final = """
SELECT transfer_id AS id, concat_ws('|', status, version, code, journal_index) AS said FROM (
    SELECT DISTINCT ON (transfer_id) transfer_id, status, version, code, journal_index FROM (
        SELECT transfer_id, status, version, code, journal_index FROM gateway.outcomes
        WHERE status NOT IN ('parked', 'done')
        UNION ALL
        SELECT transfer_id, status, version, code, journal_index FROM gateway.later_states
    ) AS states ORDER BY transfer_id, version DESC
) AS newest
WHERE NOT EXISTS (SELECT FROM gateway.commands c WHERE c.command_id = transfer_id AND c.scope <> 'reversals')
"""
# A command that nobody has answered yet is not here; a reversal's answer is the transfer that it is.
_COMMANDS: Final = """
SELECT c.command_id AS id, concat_ws('|', o.status, o.code, o.journal_index) AS said
FROM gateway.commands c JOIN gateway.outcomes o ON o.transfer_id = c.command_id
WHERE c.scope <> 'reversals' AND o.status <> 'parked'
"""
_UNSENT: Final = "SELECT count(*) FROM gateway.outbox WHERE recorded_at < now() - interval '15 seconds'"
# Any state that the ledger tells replaces one of version 0, and of later states only a missing one is taken in.
_FORGET: Final = """
WITH given_up AS (DELETE FROM gateway.later_states WHERE transfer_id = ANY($1::uuid[]))
UPDATE gateway.outcomes SET status = 'parked', version = 0, code = 'projection_rebuilt', journal_index = -1,
    settlement = NULL, attempts = 0
WHERE transfer_id = ANY($1::uuid[])
"""


class GatewayDigests:
    """The gateway's digest tables, over a connection of their own."""

    def __init__(self, hot: HotConnection) -> None:
        """Use this connection; whoever made it closes it."""
        self._hot = hot
        self.tables = {
            "requests": DigestTable(self._patient, _REQUESTS),
            "outcomes": DigestTable(self._patient, _OUTCOMES),
            "commands": DigestTable(self._patient, _COMMANDS),
        }

    async def count_unsent(self) -> int:
        """Return how many outbox rows the broker should have by now. Raises: Unavailable."""
        async with self._hot.autocommit() as connection:
            return int(await connection.fetchval(_UNSENT))

    async def forget_outcomes(self, ids: list[str]) -> None:
        """Give up what became of these transfers and commands, until the ledger tells it again. Raises: Unavailable."""
        async with self._hot.autocommit() as connection:
            await connection.execute(_FORGET, ids)

    @asynccontextmanager
    async def _patient(self) -> AsyncIterator[asyncpg.Connection]:
        async with self._hot.transaction() as connection:
            await connection.execute("SET LOCAL statement_timeout = '120s'")
            yield connection
