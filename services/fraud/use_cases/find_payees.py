"""Who is paid: found in our own projection where the gateway did not know the destination yet.

A projection lags by moments. A request whose payee nobody here knows waits up to two seconds while the others go on;
then it is judged as it stands, and the ledger refuses an account it does not know. What waits lives in memory only:
the gateway repeats a request until its outcome is known.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg
import msgspec

from libs.common.contracts.transfers import Party, TransferCommand
from services.fraud.store.projections import find_owners
from services.fraud.store.users import Customer

PATIENCE_SECONDS: Final = 2.0
WAITING_MAX: Final = 10_000
_GIVEN_UP: Final = float("-inf")


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


class SetAside:
    """Requests that wait for news of their payee, each until a moment of the monotonic clock. Bounded."""

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._waiting: dict[str, tuple[Asked, float]] = {}

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def may_wait(self, asked: Asked, now_seconds: float) -> bool:
        """Set the request aside, and tell whether it may wait on; a repetition does not get more time."""
        _, until = self._waiting.get(asked.key, (asked, now_seconds + PATIENCE_SECONDS))
        if now_seconds >= until or (asked.key not in self._waiting and len(self._waiting) >= WAITING_MAX):
            return False
        self._waiting[asked.key] = (asked, until)
        return True

    def everyone(self) -> list[Asked]:
        """Return all who wait, the longest waiting first."""
        return [asked for asked, until in self._waiting.values() if until > _GIVEN_UP]

    def give_up(self, asked: Sequence[Asked]) -> None:
        """Look for these no more; their next repetition is judged as it stands."""
        for one in asked:
            self._waiting[one.key] = (one, _GIVEN_UP)

    def done(self, asked: Sequence[Asked]) -> None:
        """Stop keeping requests that were decided."""
        if self._waiting:
            for one in asked:
                self._waiting.pop(one.key, None)


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


async def complete_payees(
    connection: asyncpg.Connection, asked: Sequence[Asked], set_aside: SetAside, now_seconds: float
) -> tuple[list[Asked], dict[str, str]]:
    """Return the requests that can be judged now, and account_id → owner of destinations we found for the gateway.

    What must wait is set aside and left out.
    """
    nameless = accounts_without_owner(asked)
    if not nameless:
        return list(asked), {}
    owners = await find_owners(connection, nameless)
    ready = []
    for one in asked:
        unknown = any(account_id not in owners for account_id in accounts_without_owner([one]))
        if not (unknown and set_aside.may_wait(one, now_seconds)):
            ready.append(one)
    return ready, owners


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
