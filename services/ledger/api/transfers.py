"""GET /api/v1/transfers: lists of transfers, for their parties and for staff."""

from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from libs.common.errors import Unprocessable
from libs.common.http.auth import Principal
from libs.common.http.cursors import Cursor, decode_cursor, encode_cursor
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from libs.common.http.permissions import PERMISSIONS
from libs.common.http.transfer_filter import TransferFilterQuery
from services.ledger.api.accounts import readable_account
from services.ledger.api.sight import Sight, SightOf
from services.ledger.views.accounts import AccountView
from services.ledger.views.transfers import ACCOUNTS_MAX, Filter, ListedTransfer, TransfersView

_INDEX_MAX: Final = 2**53 - 1
_READ_ALL: Final = PERMISSIONS["transfer.list"].roles


class LegAnswer(BaseModel):
    """One leg, as asked for."""

    source_account_id: str
    destination_account_id: str
    amount_minor: int
    asset: str


class ListedTransferAnswer(BaseModel):
    """A transfer in its newest state, reached at `changed_at`; `journal_index` is its first record, its place here.

    `changed_at` is not `settled_at`: it is also the time of a hold, and of a reversal of what was settled before.
    `legs` are what was asked for; `captured_minor` is what a hold has posted so far, `reversed_minor` what was given
    back: a number, or a list by leg where there are several, null for nothing. `fee_minor` was withheld from the
    payees. `reverses` names the transfer that a reversal gives back.

    `failure_reason` is the code in a sentence, with the payer's own numbers for himself and staff. `attempts` is how
    many tries it took the ledger to decide this state: 1, or more after a conflict or a lost connection.
    """

    transfer_id: str
    journal_index: int
    kind: str
    status: str
    version: int
    code: str
    reasons: list[str]
    legs: list[LegAnswer]
    accepted_at: str
    changed_at: str
    captured_minor: int | list[int] | None
    reversed_minor: int | list[int] | None
    fee_minor: int
    reverses: str
    attempts: int
    failure_reason: str


class TransfersAnswer(BaseModel):
    """A page of transfers, newest first. `next` asks for older ones, `prev` for newer; null: there are none.

    A page may have fewer transfers than the limit, or none, and a cursor all the same: go on until it is null.
    """

    transfers: list[ListedTransferAnswer]
    next: str | None
    prev: str | None


def transfers_router(accounts: AccountView, sight_of: SightOf, transfers: TransfersView) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/api/v1/transfers", tags=["transfers"])

    @router.get(
        "",
        summary="List transfers",
        responses=refusals("account_not_found", "too_many_accounts", "cursor_invalid", "conflicting_parameters"),
    )
    async def list_transfers(
        principal: Annotated[Principal, permitted("transfer.list")],
        shown: Annotated[Sight, Depends(sight_of)],
        query: TransferFilterQuery,
    ) -> TransfersAnswer:
        """Return the transfers of an account, of all your accounts, or for staff of anybody, newest first.

        A transfer is here once the ledger or fraud has decided about it. Of one that was refused or blocked only the
        payer's side learns.
        """
        query.require_possible()
        asked = Filter(
            await _accounts_of(principal, query.account_id, accounts, shown, transfers),
            not principal.roles.isdisjoint(_READ_ALL),
            query.status,
            query.begins_at,
            query.ends_before,
            query.min_amount_minor,
            query.max_amount_minor,
        )
        question = {**asked._asdict(), "account_ids": query.account_id, "of": principal.user_id}
        start = None if query.cursor is None else decode_cursor(query.cursor, question, position_max=_INDEX_MAX)
        page = await transfers.page(asked, start, limit=query.limit)
        return TransfersAnswer(
            transfers=[_answer(transfer) for transfer in page.transfers],
            next=None if page.older_than is None else encode_cursor(Cursor("next", page.older_than), question),
            prev=None if page.newer_than is None else encode_cursor(Cursor("prev", page.newer_than), question),
        )

    return router


async def _accounts_of(
    principal: Principal,
    account_id: str | None,
    accounts: AccountView,
    shown: Sight,
    transfers: TransfersView,
) -> list[str] | None:
    """Return the accounts whose transfers he may see; None for all. Raises: NotFound, Unprocessable, Unavailable."""
    if account_id is not None:
        return [(await readable_account(accounts, shown, account_id, principal)).account_id]
    if not principal.roles.isdisjoint(_READ_ALL):
        return None
    owned = await transfers.accounts_of(principal.user_id)
    if len(owned) > ACCOUNTS_MAX:
        raise Unprocessable("too_many_accounts", f"You have more than {ACCOUNTS_MAX} accounts: send account_id.")
    closed = [one.account_id for one in owned if one.is_closed]
    hidden = frozenset(closed) - await shown.among(closed)
    return [one.account_id for one in owned if one.account_id not in hidden]


def _answer(transfer: ListedTransfer) -> ListedTransferAnswer:
    return ListedTransferAnswer(
        transfer_id=transfer.transfer_id,
        journal_index=transfer.place,
        kind=transfer.kind,
        status=transfer.status,
        version=transfer.version,
        code=transfer.code,
        reasons=list(transfer.reasons),
        legs=[
            LegAnswer(
                source_account_id=leg.source_account_id,
                destination_account_id=leg.destination_account_id,
                amount_minor=leg.amount_minor,
                asset=leg.asset,
            )
            for leg in transfer.legs
        ],
        accepted_at=transfer.accepted_at,
        changed_at=transfer.changed_at,
        captured_minor=_by_leg(transfer.captured_minor),
        reversed_minor=_by_leg(transfer.reversed_minor),
        fee_minor=transfer.fee_minor,
        reverses=transfer.reverses,
        attempts=transfer.attempts,
        failure_reason=transfer.failure_reason,
    )


def _by_leg(amounts_minor: Sequence[int]) -> int | list[int] | None:
    if not amounts_minor:
        return None
    return amounts_minor[0] if len(amounts_minor) == 1 else list(amounts_minor)
