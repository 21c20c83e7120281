"""Taking closed customers and accounts out of sight, and bringing them back."""

from typing import Annotated, Final

from fastapi import APIRouter, Request

from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from libs.common.http.policy import require_not_self
from services.accounts.api.models import CustomerAnswer
from services.accounts.use_cases.restore_deleted import Deletions

_OWN: Final = "Nobody deletes or restores himself; ask another admin."


def deletions_router(deletions: Deletions) -> APIRouter:
    """Return the routes, all for admins and audited; nothing is removed by them."""
    router = APIRouter(prefix="/api/v1/admin", tags=["staff"])

    @router.delete(
        "/users/{user_id}",
        status_code=204,
        summary="Take a closed customer out of sight",
        responses=refusals("role_required", "own_deletion", "customer_not_found", "customer_not_closed"),
    )
    async def delete_user(
        user_id: str, principal: Annotated[Principal, permitted("customer.delete")], request: Request
    ) -> None:
        """Hide a customer who has closed from every route; his e-mail may register anew. His data stays stored."""
        require_not_self(principal, user_id, "own_deletion", _OWN)
        await deletions.delete_customer(user_id, asker_of(request))

    @router.post(
        "/users/{user_id}/restore",
        summary="Bring back a customer",
        responses=refusals("role_required", "own_deletion", "customer_not_found", "customer_erased", "email_taken"),
    )
    async def restore_user(
        user_id: str, principal: Annotated[Principal, permitted("customer.restore")], request: Request
    ) -> CustomerAnswer:
        """Make a customer who was deleted, or has closed, active again. His accounts stay closed.

        Refused when somebody else has registered with his e-mail since. Repeating changes nothing.
        """
        require_not_self(principal, user_id, "own_deletion", _OWN)
        return CustomerAnswer.of(await deletions.restore_customer(user_id, asker_of(request)))

    @router.delete(
        "/accounts/{account_id}",
        status_code=204,
        summary="Take a closed account out of sight",
        responses=refusals("role_required", "account_not_found", "account_not_closed"),
    )
    async def delete_account(
        account_id: str, _principal: Annotated[Principal, permitted("account.delete")], request: Request
    ) -> None:
        """Hide an account that closed with its owner from his list. The books keep it and its entries."""
        await deletions.delete_account(account_id, asker_of(request))

    @router.post(
        "/accounts/{account_id}/restore",
        status_code=204,
        summary="Bring back a deleted account",
        responses=refusals("role_required", "account_not_found"),
    )
    async def restore_account(
        account_id: str, _principal: Annotated[Principal, permitted("account.restore")], request: Request
    ) -> None:
        """Show a deleted account in its owner's list again, closed as it was. Repeating changes nothing."""
        await deletions.restore_account(account_id, asker_of(request))

    return router
