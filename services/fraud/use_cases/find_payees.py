"""Who is paid: found in our own projection where the gateway did not know the destination yet.

A payee whom nobody here knows either is left to the ledger, which refuses an account it does not know.
"""

from collections.abc import Mapping, Sequence

import asyncpg
import msgspec

from libs.common.contracts.transfers import Party, TransferCommand
from services.fraud.store.projections import find_owners
from services.fraud.store.users import Customer


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A request as it is judged: one transfer, or with a `batch_id` transfers that post together or not at all."""

    commands: tuple[TransferCommand, ...]
    batch_id: str | None = None
    traceparent: str = ""
    """For the answer, if the transfer is traced."""

    @property
    def key(self) -> str:
        """Return what the request is known by."""
        return self.batch_id or self.commands[0].transfer_id


def accounts_without_owner(asked: Sequence[Asked]) -> list[str]:
    """Return the destinations whose owner the gateway did not know, each once; a reserve has none to be found."""
    return list(
        {
            leg.destination_account_id: None
            for one in asked
            for command in one.commands
            if command.kind != "withdrawal"
            for leg in command.legs
            if not leg.destination_owner_id
        }
    )


async def find_payees(connection: asyncpg.Connection, asked: Sequence[Asked]) -> dict[str, str]:
    """Return account_id → owner of destinations that the gateway did not know and we do."""
    nameless = accounts_without_owner(asked)
    return await find_owners(connection, nameless) if nameless else {}


def with_payees(command: TransferCommand, owners: Mapping[str, str], known: Mapping[str, Customer]) -> TransferCommand:
    """Return the command with the owners we found: in the legs, and as payees at the KYC state we know, else tier 0."""
    legs = tuple(
        msgspec.structs.replace(leg, destination_owner_id=owners.get(leg.destination_account_id, ""))
        if not leg.destination_owner_id
        else leg
        for leg in command.legs
    )
    named = {party.user_id for party in command.payees}
    found = {leg.destination_owner_id: None for leg in legs if leg.destination_owner_id}
    added = [_party(user_id, known.get(user_id)) for user_id in found if user_id not in named]
    return msgspec.structs.replace(command, legs=legs, payees=(*command.payees, *added))


def _party(user_id: str, customer: Customer | None) -> Party:
    if customer is None:
        return Party(user_id, 0, 0)
    return Party(user_id, customer.kyc_tier, customer.kyc_version)
