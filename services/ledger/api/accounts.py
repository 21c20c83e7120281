"""Balances and entries, for the owner and for staff."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from libs.common.clock import Clock
from libs.common.errors import NotFound, Unprocessable
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.moments import Moment, require_past
from libs.common.http.openapi import refusals
from libs.common.http.policy import require_reader
from libs.common.ids import is_id
from libs.common.money import MAX_AMOUNT_MINOR
from services.ledger.api.sight import Sight, SightOf
from services.ledger.views.accounts import AccountState, AccountView, Balance, EntryState

_Reader = Annotated[Principal, permitted("account.read")]

_PAGE: Final = 50
_PAGE_MAX: Final = 200
_SEQ_MAX: Final = 2**53 - 1


class AccountAnswer(BaseModel):
    """An account's numbers in minor units; `held_minor` is on its way in and not yet the owner's.

    `minimum_minor` (below zero: an overdraft) and `maximum_minor` are the least and the most it may hold. Absent ones
    were not set: then it is zero, and 2^53-1.
    """

    account_id: str
    account_number: str
    asset: str
    status: str
    posted_minor: int
    available_minor: int
    pending_out_minor: int
    held_minor: int
    version: int
    minimum_minor: int | None = None
    maximum_minor: int | None = None


class BalanceAnswer(BaseModel):
    """What the account had posted, and the entry that made it so: seq 0, no time and no record before the first."""

    account_id: str
    asset: str
    posted_minor: int
    seq: int
    posted_at: str | None
    journal_index: int | None


class EntryAnswer(BaseModel):
    """One entry; `seq` counts the account's entries from 1, a negative amount left the account."""

    seq: int
    transfer_id: str
    amount_minor: int
    balance_after_minor: int
    posted_at: str
    journal_index: int


class EntriesAnswer(BaseModel):
    """A page of entries, newest first. `next_before_seq` asks for older ones, `next_after_seq` for newer."""

    entries: list[EntryAnswer]
    next_before_seq: int | None
    next_after_seq: int | None


def accounts_router(accounts: AccountView, sight_of: SightOf, clock: Clock) -> APIRouter:
    """Return the routes about accounts; `sight_of` knows which of them were taken out of their owners' sight."""
    router = APIRouter(prefix="/api/v1/accounts", tags=["accounts"])

    @router.get(
        "/{account_id}",
        summary="See an account",
        responses=refusals("account_not_found"),
        response_model_exclude_none=True,
    )
    async def get_account(
        account_id: str, principal: _Reader, shown: Annotated[Sight, Depends(sight_of)]
    ) -> AccountAnswer:
        """Return what the account holds now, and the limits that staff set for it."""
        return _answer(await readable_account(accounts, shown, account_id, principal))

    @router.get(
        "/{account_id}/balance",
        summary="See its balance, also of the past",
        responses=refusals(
            "account_not_found", "conflicting_parameters", "moment_in_future", "journal_index_out_of_range"
        ),
    )
    async def get_balance(
        account_id: str,
        principal: _Reader,
        shown: Annotated[Sight, Depends(sight_of)],
        at: Annotated[
            Moment | None, Query(description="as of this moment (RFC 3339), its own entries included")
        ] = None,
        index: Annotated[
            int | None, Query(ge=0, le=_SEQ_MAX, description="as of this journal record, its own entries included")
        ] = None,
    ) -> BalanceAnswer:
        """Return what the account had posted: now, at a moment, or as of a journal record.

        A batch's time is taken just before it is committed: what is told of the last second may still be added to.
        """
        account = await readable_account(accounts, shown, account_id, principal)
        if at is not None and index is not None:
            raise Unprocessable("conflicting_parameters", "Send at or index, not both.")
        require_past(at, clock())
        balance = await _balance(accounts, account_id, at, index)
        return BalanceAnswer(account_id=account_id, asset=account.asset, **balance._asdict())

    _add_entries(router, accounts, sight_of)
    return router


def _add_entries(router: APIRouter, accounts: AccountView, sight_of: SightOf) -> None:
    @router.get(
        "/{account_id}/entries",
        summary="List its entries",
        responses=refusals("account_not_found", "conflicting_parameters"),
    )
    async def get_entries(
        account_id: str,
        principal: _Reader,
        shown: Annotated[Sight, Depends(sight_of)],
        limit: Annotated[int, Query(ge=1, le=_PAGE_MAX, description="entries in one answer")] = _PAGE,
        before_seq: Annotated[
            int | None, Query(ge=1, le=_SEQ_MAX, description="`next_before_seq` of another page: entries before it")
        ] = None,
        after_seq: Annotated[
            int | None, Query(ge=0, le=_SEQ_MAX, description="`next_after_seq` of another page: entries after it")
        ] = None,
    ) -> EntriesAnswer:
        """Return entries, newest first: the newest of all, those right before one, or those right after one."""
        account = await readable_account(accounts, shown, account_id, principal)
        if before_seq is not None and after_seq is not None:
            raise Unprocessable("conflicting_parameters", "Send before_seq or after_seq, not both.")
        oldest_first = after_seq is not None
        page = await accounts.entries(
            account_id,
            after_seq=after_seq or 0,
            before_seq=before_seq or _SEQ_MAX,
            limit=limit,
            oldest_first=oldest_first,
        )
        if oldest_first:
            page.reverse()
        return EntriesAnswer(
            entries=[entry_answer(entry) for entry in page],
            next_before_seq=page[-1].seq if page and page[-1].seq > 1 else None,
            next_after_seq=page[0].seq if page and page[0].seq < account.last_seq else None,
        )


async def readable_account(accounts: AccountView, shown: Sight, account_id: str, principal: Principal) -> AccountState:
    """Return the account for its owner, unless it was deleted, and for staff. Raises: NotFound, Unavailable."""
    account = await accounts.one(account_id) if is_id(account_id) else None
    if account is None:
        raise _not_found()
    require_reader(principal, account.owner_id, what="account")
    if not principal.is_staff() and account.status == "closed" and not await shown.among([account_id]):
        raise _not_found()
    return account


def _not_found() -> NotFound:
    return NotFound("account_not_found", "There is no such account, or it is not yours.")


async def _balance(accounts: AccountView, account_id: str, at: datetime | None, index: int | None) -> Balance:
    if at is not None:
        return await accounts.balance_at(account_id, at)
    if index is None:
        return await accounts.balance(account_id)
    size = await accounts.journal_size()
    if index >= size:
        raise Unprocessable("journal_index_out_of_range", "The journal is not that long yet.", size=size)
    return await accounts.balance_by(account_id, index)


def entry_answer(entry: EntryState) -> EntryAnswer:
    """Return an entry as it is shown."""
    return EntryAnswer(
        seq=entry.seq,
        transfer_id=entry.transfer_id,
        amount_minor=entry.amount_minor,
        balance_after_minor=entry.balance_after_minor,
        posted_at=entry.posted_at,
        journal_index=entry.journal_index,
    )


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
        minimum_minor=account.minimum_minor or None,
        maximum_minor=None if account.maximum_minor == MAX_AMOUNT_MINOR else account.maximum_minor,
    )
