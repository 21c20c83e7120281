"""Opening accounts and seeing which there are."""

from dataclasses import asdict
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from libs.common.errors import Unprocessable
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from libs.common.http.policy import require_reader
from libs.common.ids import is_id
from services.accounts.api.models import AccountAnswer, AccountList, AccountListed, AccountRequest
from services.accounts.domain.account import Account
from services.accounts.use_cases.open_account import OpenAccount
from services.accounts.views.accounts import AccountView

_PAGE_MAX: Final = 100


def accounts_router(open_account: OpenAccount, accounts: AccountView) -> APIRouter:
    """Return the routes about accounts."""
    router = APIRouter(prefix="/api/v1/accounts", tags=["accounts"])

    @router.post(
        "",
        status_code=201,
        summary="Open an account",
        responses=refusals("role_required", "unknown_asset", "customer_closed", "customer_not_found")
        | {202: {"model": AccountAnswer, "description": "The ledger has not answered yet; see `Location`."}},
    )
    async def post_account(
        body: AccountRequest, principal: Annotated[Principal, permitted("account.open")], response: Response
    ) -> AccountAnswer:
        """Open an account for the caller, who must be a customer. His first one becomes his primary.

        201 with status `active` once the ledger has opened it; 202 with status `opening` and a `Location` if that
        takes longer than an installation cares to wait, usually a second.
        """
        account = await open_account(owner_id=principal.user_id, asset=body.asset)
        response.headers["Location"] = f"/api/v1/accounts/{account.account_id}"
        if account.status == "opening":
            response.status_code = 202
        return AccountAnswer.of(account)

    @router.get("", summary="List my accounts", responses=refusals("cursor_invalid"))
    async def get_accounts(
        principal: Annotated[Principal, permitted("account.list")],
        after: Annotated[str | None, Query(max_length=36, description="`next_after` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=_PAGE_MAX, description="accounts in one answer")] = _PAGE_MAX,
    ) -> AccountList:
        """Return the caller's accounts, oldest first, without balances."""
        if after is not None and not is_id(after):
            raise Unprocessable("cursor_invalid", "Use `next_after` of the page before, unchanged.")
        page = await accounts.of(principal.user_id, after, limit + 1)
        shown = page[:limit]
        return AccountList(
            accounts=[_listed(account) for account in shown],
            next_after=shown[-1].account_id if len(page) > limit else None,
        )

    @router.get(
        "/{account_id}",
        summary="See an account that the ledger has not opened yet",
        responses=refusals("account_not_found"),
    )
    async def get_account(account_id: str, principal: Annotated[Principal, permitted("account.read")]) -> AccountAnswer:
        """Return an account without entries: the ledger answers for all others."""
        account = await accounts.one(account_id)
        require_reader(principal, account.owner_id, what="account")
        return AccountAnswer.of(account)

    return router


def _listed(account: Account) -> AccountListed:
    fields = {**asdict(account), "status": account.shown_status}
    return AccountListed(**{name: fields[name] for name in AccountListed.model_fields})
