"""Say what would become of a transfer now, by the engine that would decide it, and change nothing."""

from libs.common.clock import Clock, to_rfc3339
from libs.common.contracts.fraud import TransferScreened
from libs.common.db.reading import Reading
from services.ledger.domain.engine import decide
from services.ledger.domain.run import Decisions
from services.ledger.store.accounts import load_accounts
from services.ledger.store.fee_schedules import accounts_of_fees, load_fee_schedules


class ForeseeTransfer:
    """Runs the engine on what is stored; a dry run locks nothing, so the next moment may decide otherwise."""

    def __init__(self, reading: Reading, clock: Clock) -> None:
        """Take what it reads with."""
        self._reading = reading
        self._clock = clock

    async def __call__(self, screening: TransferScreened) -> Decisions:
        """Return what one screened transfer would decide. Raises: Unavailable."""
        legs = screening.command.legs
        wanted = {account_id for leg in legs for account_id in (leg.source_account_id, leg.destination_account_id)}
        async with self._reading.connection() as connection:
            schedules = await load_fee_schedules(connection)
            accounts = await load_accounts(connection, list(wanted | accounts_of_fees(schedules)))
        return decide(
            [screening],
            accounts=accounts,
            known={},
            schedules=schedules,
            first_index=0,
            now=to_rfc3339(self._clock()),
        )
