"""The customer himself."""

from typing import Annotated

from fastapi import APIRouter

from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from services.accounts.api.models import CustomerAnswer
from services.accounts.views.customers import CustomerView


def me_router(customers: CustomerView) -> APIRouter:
    """Return the routes about whoever asks."""
    router = APIRouter(prefix="/api/v1", tags=["customers"])

    @router.get("/me", summary="Who am I", responses=refusals("customer_not_found"))
    async def me(principal: Annotated[Principal, permitted("customer.read")]) -> CustomerAnswer:
        """Return the customer of the token, with the roles he has now."""
        return CustomerAnswer.of(await customers.one(principal.user_id))

    return router
