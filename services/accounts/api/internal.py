"""The few questions sister services ask about accounts and customers; no part of the public contract."""

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Response
from pydantic import Field, SecretStr

from libs.common.clock import to_rfc3339
from libs.common.errors import NotFound
from libs.common.http.models import IdText, StrictModel
from libs.common.http.moments import Moment
from libs.common.http.sisters import sisters_router
from services.accounts.api.models import AccountListed
from services.accounts.domain.account import Account
from services.accounts.use_cases.tell_credentials import TellCredentials
from services.accounts.views.accounts import AccountView
from services.accounts.views.customers import CustomerView
from services.accounts.views.erasures import ErasureView

_ERASURES: Final = 200
"""How many there are on a page; the page after it begins behind the last of them."""
_DELETED: Final = 100
"""How many deleted accounts there are on a page, likewise."""


class AskedAccounts(StrictModel):
    """The accounts that somebody asks about; the answer has those that there are."""

    account_ids: Annotated[list[IdText], Field(max_length=5000)]


def internal_router(
    accounts: AccountView,
    customers: CustomerView,
    erasures: ErasureView,
    credentials: TellCredentials,
    internal_token: SecretStr,
) -> APIRouter:
    """Return the questions as routes."""
    router = sisters_router(internal_token)

    @router.get("/accounts/{account_id}")
    async def get_account(account_id: str) -> dict[str, str | int]:
        return _told(await accounts.one(account_id))

    @router.post("/accounts/find")
    async def find_accounts(asked: AskedAccounts) -> dict[str, list[dict[str, str | int]]]:
        return {"accounts": [_told(account) for account in await accounts.many(asked.account_ids)]}

    @router.get("/customers/{user_id}")
    async def get_customer(user_id: str) -> dict[str, str | int]:
        customer = await customers.one(user_id)
        return {
            "user_id": customer.user_id,
            "profile": customer.profile,
            "status": customer.status,
            "version": customer.version,
        }

    @router.get("/customers/{user_id}/deleted-accounts")
    async def get_deleted_accounts(user_id: IdText, after: IdText) -> dict[str, list[dict[str, Any]]]:
        page = await accounts.deleted_of(user_id, after, _DELETED)
        return {"accounts": [_shown(account) | {"deleted_at": to_rfc3339(at)} for account, at in page]}

    @router.get("/revocations")
    async def get_revocations(since: str = "", after: str = "") -> Response:
        page = await credentials.revoked(since=since, after=after)
        return Response(msgspec.json.encode(page), media_type="application/json")

    @router.get("/erasures")
    async def get_erasures(since: Moment, after: IdText) -> dict[str, list[dict[str, str]]]:
        page = await erasures.done((since, after), _ERASURES)
        return {"erasures": [{"user_id": user_id, "erased_at": to_rfc3339(at)} for user_id, at in page]}

    @router.get("/api-keys/{key_id}")
    async def get_api_key(key_id: str, secret_sha256: str) -> Response:
        facts = await credentials.find_key(key_id, secret_sha256)
        if facts is None:
            raise NotFound("api_key_not_found", "There is no such key that could be used.")
        return Response(msgspec.json.encode(facts), media_type="application/json")

    return router


def _shown(account: Account) -> dict[str, Any]:
    return AccountListed.of(account).model_dump()


def _told(account: Account) -> dict[str, str | int]:
    return {
        "account_id": account.account_id,
        "owner_id": account.owner_id,
        "asset": account.asset,
        "status": account.status,
        "account_number": account.account_number,
        "version": account.version,
    }
