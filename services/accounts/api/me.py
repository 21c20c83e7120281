"""The customer himself."""

from typing import Annotated

from fastapi import APIRouter, Request

from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from services.accounts.api.models import CustomerAnswer, ProfilePatch
from services.accounts.use_cases.change_name import ChangeName
from services.accounts.use_cases.close_customer import CloseCustomer
from services.accounts.views.customers import CustomerView


def me_router(customers: CustomerView, change_name: ChangeName, close_customer: CloseCustomer) -> APIRouter:
    """Return the routes about whoever asks."""
    router = APIRouter(prefix="/api/v1", tags=["customers"])

    @router.get("/me", summary="Who am I", responses=refusals("customer_not_found"))
    async def me(principal: Annotated[Principal, permitted("customer.read")]) -> CustomerAnswer:
        """Return the customer of the token, with the roles he has now."""
        return CustomerAnswer.of(await customers.one(principal.user_id))

    @router.patch("/me", summary="Correct my name", responses=refusals("customer_not_found", "customer_closed"))
    async def patch_me(
        body: ProfilePatch, principal: Annotated[Principal, permitted("customer.rename")], request: Request
    ) -> CustomerAnswer:
        """Change the full name, and return the customer as he is now. For the e-mail there is `/me/email`."""
        return CustomerAnswer.of(await change_name(principal.user_id, body.full_name, asker_of(request)))

    @router.delete(
        "/me",
        status_code=204,
        summary="Close my accounts and leave",
        responses=refusals(
            "customer_not_found", "last_admin", "customer_has_money", "customer_has_restrictions", "account_opening"
        ),
    )
    async def delete_me(principal: Annotated[Principal, permitted("customer.close")], request: Request) -> None:
        """Close all the caller's accounts, end his log-ins and the relationship. An administrator can undo it.

        Refused while one of his accounts has money or something pending, and to the last admin; nothing is lost by
        asking. His API keys end, and those he made for service accounts. What was posted stays in the books.
        """
        await close_customer(principal.user_id, asker_of(request))

    return router
