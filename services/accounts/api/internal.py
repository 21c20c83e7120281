"""The few questions sister services ask about accounts and customers; no part of the public contract."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, Header
from pydantic import SecretStr

from libs.common.errors import Unauthenticated
from services.accounts.views.accounts import AccountView
from services.accounts.views.customers import CustomerView


def internal_router(accounts: AccountView, customers: CustomerView, internal_token: SecretStr) -> APIRouter:
    """Return the routes that only who knows the internal token may call; they are left out of OpenAPI."""
    expected = internal_token.get_secret_value().encode()

    def require_sister(x_internal_token: Annotated[str, Header()] = "") -> None:
        if not hmac.compare_digest(x_internal_token.encode(), expected):
            raise Unauthenticated("internal_token_required", "Only services of this system may ask this.")

    router = APIRouter(prefix="/internal", include_in_schema=False, dependencies=[Depends(require_sister)])

    @router.get("/accounts/{account_id}")
    async def get_account(account_id: str) -> dict[str, str | int]:
        account = await accounts.one(account_id)
        return {
            "account_id": account.account_id,
            "owner_id": account.owner_id,
            "asset": account.asset,
            "status": account.status,
            "account_number": account.account_number,
            "version": account.version,
        }

    @router.get("/customers/{user_id}")
    async def get_customer(user_id: str) -> dict[str, str | int]:
        customer = await customers.one(user_id)
        return {
            "user_id": customer.user_id,
            "profile": customer.profile,
            "status": customer.status,
            "version": customer.version,
        }

    return router
