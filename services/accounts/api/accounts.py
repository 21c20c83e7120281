"""Opening accounts and seeing which there are."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from libs.common.db.kept_answers import KeptAnswer
from libs.common.errors import Unprocessable
from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.idempotency import REFUSED_COPIES, AnsweredBefore, Keyed, answer_of, kept_response
from libs.common.http.openapi import refusals
from libs.common.http.policy import require_reader
from libs.common.ids import is_id
from services.accounts.api.models import AccountAnswer, AccountDescription, AccountList, AccountListed, AccountRequest
from services.accounts.domain.account import Account
from services.accounts.use_cases.choose_primary import ChoosePrimary
from services.accounts.use_cases.describe_account import DescribeAccount
from services.accounts.use_cases.open_account import OpenAccount, Wanted
from services.accounts.views.accounts import AccountView

_PAGE_MAX: Final = 100
_CREATED: Final = 201
_ACCEPTED: Final = 202


def accounts_router(
    open_account: OpenAccount, describe_account: DescribeAccount, choose_primary: ChoosePrimary, accounts: AccountView
) -> APIRouter:
    """Return the routes about accounts."""
    router = APIRouter(prefix="/api/v1/accounts", tags=["accounts"])
    _add_opening(router, open_account)

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
            accounts=[AccountListed.of(account) for account in shown],
            next_after=shown[-1].account_id if len(page) > limit else None,
        )

    @router.get(
        "/{account_id}",
        summary="See an account as accounts knows it",
        responses=refusals("account_not_found"),
    )
    async def get_account(account_id: str, principal: Annotated[Principal, permitted("account.read")]) -> AccountAnswer:
        """Return what stands on the account, and balances of zero: the gateway puts the ledger's in their place."""
        account = await accounts.one(account_id)
        require_reader(principal, account.owner_id, what="account")
        return AccountAnswer.of(account)

    @router.patch("/{account_id}", summary="Name an account", responses=refusals("account_not_found"))
    async def patch_account(
        account_id: str,
        body: AccountDescription,
        principal: Annotated[Principal, permitted("account.describe")],
        request: Request,
    ) -> AccountListed:
        """Set the account's name, its metadata or both, for its owner. What is left out stays as it is."""
        account = await describe_account(
            owner_id=principal.user_id,
            account_id=account_id,
            description=body.model_dump(exclude_unset=True),
            asker=asker_of(request),
        )
        return AccountListed.of(account)

    @router.put(
        "/{account_id}/primary",
        summary="Make an account your primary one",
        responses=refusals("account_not_found", "account_closed"),
    )
    async def put_primary(
        account_id: str, principal: Annotated[Principal, permitted("account.set_primary")], request: Request
    ) -> AccountListed:
        """Move the mark here from the account that had it; a customer with accounts has exactly one primary."""
        return AccountListed.of(
            await choose_primary(owner_id=principal.user_id, account_id=account_id, asker=asker_of(request))
        )

    return router


def _add_opening(router: APIRouter, open_account: OpenAccount) -> None:
    @router.post(
        "",
        status_code=201,
        response_model=AccountAnswer,
        summary="Open an account",
        responses=refusals(
            "role_required",
            "unknown_asset",
            "customer_closed",
            "customer_not_found",
            "account_limit_reached",
            *REFUSED_COPIES,
        )
        | {202: {"model": AccountAnswer, "description": "The ledger has not answered yet; see `Location`."}},
    )
    async def post_account(
        body: AccountRequest,
        principal: Annotated[Principal, permitted("account.open")],
        asked: Keyed,
        request: Request,
    ) -> Response:
        """Open an account for the caller, who must be a customer. His first one becomes his primary.

        201 with status `active` once the ledger has opened it; 202 with status `opening` and a `Location` if that
        takes longer than an installation cares to wait, usually a second. A copy with the same `Idempotency-Key` opens
        no other account and waits for the same one.
        """
        asker = asker_of(request)
        wanted = Wanted(owner_id=principal.user_id, asset=body.asset, name=body.name, metadata=body.metadata)
        try:
            account, is_open = await open_account(wanted, asked.by(principal.user_id, _asked_for), asker)
        except AnsweredBefore as earlier:
            if earlier.answer.status != _ACCEPTED:
                raise
            asker.is_recorded = True  # with the first
            account_id = AccountAnswer.model_validate_json(earlier.answer.body).account_id
            is_open = await open_account.await_opening(account_id)
            return kept_response(_opened(earlier.answer, is_open=is_open), replayed=True)
        return kept_response(_opened(_asked_for(account), is_open=is_open), replayed=False)


def _asked_for(account: Account) -> KeptAnswer:
    """Return what is kept of an opening: the account as it was asked for. What became of it since is looked up."""
    return answer_of(AccountAnswer.of(account), _ACCEPTED, location=f"/api/v1/accounts/{account.account_id}")


def _opened(asked_for: KeptAnswer, *, is_open: bool) -> KeptAnswer:
    """Return the answer as it is once the ledger has opened the account, the same for every copy."""
    if not is_open:
        return asked_for
    shown = AccountAnswer.model_validate_json(asked_for.body).model_copy(update={"status": "active"})
    return answer_of(shown, _CREATED, location=asked_for.location)
