"""What the gateway shows and has been told, as digests, so that others can compare without reading its tables."""

from typing import Final

from libs.common.db.hot import HotConnection
from libs.common.digests.published_digests import PublishedDigests
from services.gateway.store.repeats import schedule_repeats

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
# Any state that the ledger tells replaces one of version 0, and of later states only a missing one is taken in.
_FORGET: Final = """
WITH given_up AS (DELETE FROM gateway.later_states WHERE transfer_id = ANY($1::uuid[]))
UPDATE gateway.outcomes SET status = 'parked', version = 0, code = 'projection_rebuilt', journal_index = -1,
    settlement = NULL, attempts = 0
WHERE transfer_id = ANY($1::uuid[])
"""
_ASKED_FOR: Final = """
SELECT transfer_id::text FROM gateway.transfers WHERE transfer_id = ANY($1::uuid[])
UNION ALL SELECT command_id::text FROM gateway.commands WHERE command_id = ANY($1::uuid[])
"""
_REPEAT_AFTER_SECONDS: Final = 5.0
"""Time for the ledger to tell what it knows."""
_LONGEST_WAIT_SECONDS: Final = 60
_OWNERS: Final = """
SELECT account_id AS id, concat_ws('|', owner_id, asset, status) AS said FROM gateway.accounts WHERE status <> 'opening'
"""
_PROFILES: Final = "SELECT user_id AS id, profile AS said FROM gateway.customers WHERE profile_version > 0"
_TIERS: Final = """
SELECT user_id AS id, concat_ws('|', kyc_tier, kyc_version) AS said FROM gateway.customers WHERE kyc_version > 0
"""


class GatewayDigests(PublishedDigests):
    """What the gateway publishes; of transfers and commands it can give up what it shows."""

    def __init__(self, hot: HotConnection) -> None:
        """Use this connection; whoever made it closes it."""
        super().__init__(
            hot,
            "gateway",
            {
                "requests": _REQUESTS,
                "outcomes": _OUTCOMES,
                "commands": _COMMANDS,
                "owners": _OWNERS,
                "profiles": _PROFILES,
                "tiers": _TIERS,
            },
        )

    async def forget_outcomes(self, ids: list[str]) -> None:
        """Give up what became of these transfers and commands, until the ledger tells it again. Raises: Unavailable.

        What the ledger does not know it cannot tell, so each is asked for again.
        """
        async with self._hot.transaction() as connection:
            await connection.execute(_FORGET, ids)
            asked_for = [row[0] for row in await connection.fetch(_ASKED_FOR, ids)]
            await schedule_repeats(
                connection, asked_for, after_seconds=_REPEAT_AFTER_SECONDS, longest_wait_seconds=_LONGEST_WAIT_SECONDS
            )
