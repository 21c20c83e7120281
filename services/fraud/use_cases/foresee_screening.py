"""Say how a transfer would be screened now, by what would decide it, and use no limit for it."""

from typing import Final

import asyncpg

from libs.common.clock import Clock
from libs.common.contracts.fraud import TransferScreened
from libs.common.contracts.transfers import TransferCommand
from services.fraud.domain.lists import Lists
from services.fraud.store.activity_cache import NOBODY_KNOWN
from services.fraud.store.payer_cache import PayerCache
from services.fraud.store.screening_data import ScreeningData
from services.fraud.store.users import load_customers, load_payers
from services.fraud.use_cases.decide_transfers import Docket
from services.fraud.use_cases.describe_surroundings import Surroundings
from services.fraud.use_cases.read_policy import PolicyInForce

_WITHOUT_RULES: Final = ScreeningData(0, None, (), Lists())


class ForeseeScreening:
    """Decides on windows of its own, read for this one question: what it takes there, nobody else sees.

    Limits and KYC only. Whoever could ask rules and lists without sending would soon know how to pass them.
    """

    def __init__(self, policy: PolicyInForce, clock: Clock) -> None:
        """Take the policy that decisions rest on."""
        self._policy = policy
        self._clock = clock

    async def __call__(self, connection: asyncpg.Connection, command: TransferCommand) -> TransferScreened:
        """Return the verdict; nothing is written. Raises: Unprocessable `payer_missing`; Unavailable."""
        now = self._clock()
        policy = await self._policy.read(connection, {leg.asset for leg in command.legs})
        payers = [] if command.payer is None or command.kind != "transfer" else [command.payer.user_id]
        people = {*payers, *(party.user_id for party in command.payees)}
        customers = await load_customers(connection, list(people))
        windows = await load_payers(connection, PayerCache(), payers, customers, now)
        docket = Docket(
            policy=policy,
            now=now,
            payers=windows,
            customers=customers,
            screening=_WITHOUT_RULES,
            surroundings=Surroundings(NOBODY_KNOWN, customers),
            completed=set(),
        )
        return docket.decide(command)
