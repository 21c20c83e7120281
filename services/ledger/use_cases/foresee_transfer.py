"""Say what would become of a transfer now, by the engine that would decide it, and change nothing."""

from collections.abc import Iterable
from typing import Final

from libs.common.clock import Clock, to_rfc3339
from libs.common.contracts.fraud import TransferScreened
from libs.common.db.reading import Reading
from libs.common.money import MAX_AMOUNT_MINOR
from services.ledger.domain.account import Account
from services.ledger.domain.engine import decide
from services.ledger.domain.run import Decisions
from services.ledger.store.accounts import load_accounts
from services.ledger.store.fee_schedules import accounts_of_fees, load_fee_schedules

_BEYOND_ANY_BALANCE: Final = 2 * MAX_AMOUNT_MINOR
"""No account comes to hold more by one transfer, since neither it nor the transfer is beyond half of this."""


class ForeseeTransfer:
    """Runs the engine on what is stored; a dry run locks nothing, so the next moment may decide otherwise.

    Whether a payee may come to hold so much is not foreseen: asked again and again for nothing, that would tell the
    payer what a stranger has.
    """

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
        payer = screening.command.payer
        _hide_room_of_others(
            (accounts[one] for one in wanted & accounts.keys()), "" if payer is None else payer.user_id
        )
        return decide(
            [screening],
            accounts=accounts,
            known={},
            schedules=schedules,
            first_index=0,
            now=to_rfc3339(self._clock()),
        )


def _hide_room_of_others(accounts: Iterable[Account], payer_id: str) -> None:
    for account in accounts:
        if account.owner_id != payer_id:
            account.maximum_minor = _BEYOND_ANY_BALANCE
