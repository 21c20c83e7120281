"""Balances and entries, for the owner and for staff."""

from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel

from libs.common.errors import NotFound
from libs.common.http.auth import CurrentPrincipal, Principal
from libs.common.http.openapi import refusals
from libs.common.http.policy import require_reader
from libs.common.ids import is_id
from services.ledger.views.accounts import AccountState, AccountView

_PAGE: Final = 50
_PAGE_MAX: Final = 200
_SEQ_MAX: Final = 2**53 - 1


class AccountAnswer(BaseModel):
    """An account's numbers in minor units; `held_minor` is on its way in and not yet the owner's."""

    account_id: str
    account_number: str
    asset: str
    status: str
    posted_minor: int
    available_minor: int
    pending_out_minor: int
    held_minor: int
    version: int


class EntryAnswer(BaseModel):
    """One entry; `seq` counts the account's entries from 1, a negative amount left the account."""

    seq: int
    transfer_id: str
    amount_minor: int
    balance_after_minor: int
    posted_at: str


class EntriesAnswer(BaseModel):
    """A page of entries, newest first. `next_before_seq` asks for the next page; null on the last."""

    entries: list[EntryAnswer]
    next_before_seq: int | None


def accounts_router(accounts: AccountView) -> APIRouter:
    """Return the routes about accounts."""
    router = APIRouter(prefix="/api/v1/accounts", tags=["accounts"])

    @router.get("/{account_id}", summary="See an account", responses=refusals("account_not_found"))
    async def get_account(account_id: str, principal: CurrentPrincipal) -> AccountAnswer:
        """Return what the account holds now."""
        return _answer(await _readable(accounts, account_id, principal))

    @router.get("/{account_id}/entries", summary="List its entries", responses=refusals("account_not_found"))
    async def get_entries(
        account_id: str,
        principal: CurrentPrincipal,
        limit: Annotated[int, Query(ge=1, le=_PAGE_MAX, description="entries in one answer")] = _PAGE,
        before_seq: Annotated[
            int, Query(ge=1, le=_SEQ_MAX, description="`next_before_seq` of the page before")
        ] = _SEQ_MAX,
    ) -> EntriesAnswer:
        """Return entries, newest first."""
        await _readable(accounts, account_id, principal)
        page = await accounts.entries(account_id, before_seq=before_seq, limit=limit)
        more = bool(page) and page[-1].seq > 1
        return EntriesAnswer(
            entries=[
                EntryAnswer(
                    seq=entry.seq,
                    transfer_id=entry.transfer_id,
                    amount_minor=entry.amount_minor,
                    balance_after_minor=entry.balance_after_minor,
                    posted_at=entry.posted_at,
                )
                for entry in page
            ],
            next_before_seq=page[-1].seq if more else None,
        )

    return router


async def _readable(accounts: AccountView, account_id: str, principal: Principal) -> AccountState:
    account = await accounts.one(account_id) if is_id(account_id) else None
    if account is None:
        raise NotFound("account_not_found", "There is no such account, or it is not yours.")
    require_reader(principal, account.owner_id, what="account")
    return account


def _answer(account: AccountState) -> AccountAnswer:
    return AccountAnswer(
        account_id=account.account_id,
        account_number=account.account_number,
        asset=account.asset,
        status=account.status,
        posted_minor=account.posted_minor,
        available_minor=account.available_minor,
        pending_out_minor=account.pending_out_minor,
        held_minor=account.held_minor,
        version=account.version,
    )
