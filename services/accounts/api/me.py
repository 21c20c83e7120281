"""The customer himself."""

from fastapi import APIRouter

from libs.common.http.auth import CurrentPrincipal
from libs.common.http.openapi import refusals
from services.accounts.api.models import CustomerAnswer
from services.accounts.views.customers import CustomerView


def me_router(customers: CustomerView) -> APIRouter:
    """Return the routes about whoever asks."""
    router = APIRouter(prefix="/api/v1", tags=["customers"])

    @router.get("/me", summary="Who am I", responses=refusals("customer_not_found"))
    async def me(principal: CurrentPrincipal) -> CustomerAnswer:
        """Return the customer of the token, with the roles he has now."""
        return CustomerAnswer.of(await customers.one(principal.user_id))

    return router
