"""What was asked to be given back of a transfer, refused or not: the list of its reversals, oldest first."""

from collections.abc import Callable
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from libs.common.contracts.gateway import ReverseTransfer
from libs.common.db.hot import HotConnection
from services.gateway.domain.outcomes import Outcome
from services.gateway.store.commands import StoredCommand, find_reversals_of
from services.gateway.views.known_transfers import KnownTransfer, amounts_of
from services.gateway.views.transfers import reason_of

_decode_reversal: Final = msgspec.json.Decoder(ReverseTransfer).decode


class ReversalView(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """A reversal in the list of its transfer's. Absent members are empty: not settled yet, no code, no fee.

    `transfer_id` is the reversal's own: it is a transfer too. `amounts_minor` is by leg of the transfer it reverses,
    what was given back or, refused, what was asked for; absent while "all that is left" is not known, or was refused.
    `amount_minor` is their sum, absent for legs of several assets. `actor_id` is who asked for it. `with_fees` tells
    whether fees were to be given back; below zero, `fee_minor` is what was. `memo` has the reason.
    """

    transfer_id: str
    status: str
    actor_id: str
    with_fees: bool
    accepted_at: str
    settled_at: str = ""
    amounts_minor: tuple[int, ...] = ()
    amount_minor: int = 0
    fee_minor: int = 0
    code: str = ""
    failure_reason: str = ""
    memo: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class ReversalPage(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A page of reversals of one transfer, oldest first. `next` asks for later ones; null: there are none."""

    reversals: tuple[ReversalView, ...]
    next: str | None


class Reversals(NamedTuple):
    """Reversals, oldest first; later ones have ids above `later_than`. None: no more."""

    reversals: tuple[ReversalView, ...]
    later_than: int | None


async def list_reversals(
    connection: HotConnection,
    transfer: KnownTransfer,
    newest: Callable[[Outcome], Outcome],
    *,
    beyond: int,
    limit: int,
    knows_facts: bool,
) -> Reversals:
    """Return reversals of the transfer with ids above `beyond`, each as `newest` knows it. Raises: Unavailable.

    `knows_facts` tells whether the reader may see the numbers behind a refusal.
    """
    async with connection.autocommit() as database:
        found = await find_reversals_of(database, transfer.transfer_id, beyond=UUID(int=beyond), limit=limit + 1)
        page = found[:limit]
        for reversal in page:
            reversal.outcome = newest(reversal.outcome)
        views = [await _view(database, transfer, reversal, knows_facts=knows_facts) for reversal in page]
    return Reversals(tuple(views), UUID(page[-1].command_id).int if len(found) > limit else None)


async def _view(
    database: asyncpg.Connection, transfer: KnownTransfer, reversal: StoredCommand, *, knows_facts: bool
) -> ReversalView:
    command, outcome = _decode_reversal(reversal.message), reversal.outcome
    # Asks the database for "all that is left" once it has moved: after that nothing is left, so for one a transfer.
    amounts_minor = await amounts_of(database, reversal) or ()
    return ReversalView(
        transfer_id=reversal.command_id,
        status=outcome.status,
        actor_id=command.actor_id,
        with_fees=command.with_fees,
        accepted_at=command.requested_at,
        settled_at=outcome.occurred_at if outcome.is_final() else "",
        amounts_minor=amounts_minor,
        amount_minor=sum(amounts_minor) if len({leg.asset for leg in transfer.legs}) == 1 else 0,
        fee_minor=outcome.settlement.fee_minor,
        code=outcome.code,
        failure_reason=reason_of(outcome, transfer.legs, knows_facts=knows_facts),
        memo=msgspec.UNSET if reversal.memo is None else msgspec.Raw(reversal.memo),
    )
