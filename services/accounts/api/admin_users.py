"""What staff change about customers."""

from typing import Annotated

from fastapi import APIRouter, Request

from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from libs.common.http.policy import require_not_self
from services.accounts.api.models import CustomerAnswer, ProfileChange, RolesChange
from services.accounts.use_cases.change_profile import ChangeProfile
from services.accounts.use_cases.grant_roles import GrantRoles


def admin_users_router(change_profile: ChangeProfile, grant_roles: GrantRoles) -> APIRouter:
    """Return the routes by which staff change customers; each change is audited."""
    router = APIRouter(prefix="/api/v1/admin/users", tags=["staff"])

    @router.put(
        "/{user_id}/profile",
        summary="Set whose limits hold for a customer",
        responses=refusals("role_required", "customer_not_found"),
    )
    async def put_profile(
        user_id: str,
        body: ProfileChange,
        _principal: Annotated[Principal, permitted("customer.set_profile")],
        request: Request,
    ) -> CustomerAnswer:
        """Set the profile to `retail` or `business`. Needs the role compliance or admin. Repeating changes nothing."""
        customer = await change_profile(asker=asker_of(request), user_id=user_id, profile=body.profile)
        return CustomerAnswer.of(customer)

    @router.put(
        "/{user_id}/roles",
        summary="Set somebody's roles",
        responses=refusals("role_required", "own_roles", "unknown_role", "customer_not_found", "last_admin"),
    )
    async def put_roles(
        user_id: str,
        body: RolesChange,
        principal: Annotated[Principal, permitted("customer.set_roles")],
        request: Request,
    ) -> CustomerAnswer:
        """Replace all roles of somebody else. Needs the role admin.

        His access tokens end within two seconds; a refreshed one has the new roles.
        """
        require_not_self(principal, user_id, "own_roles", "Nobody changes his own roles; ask another admin.")
        customer = await grant_roles(asker=asker_of(request), user_id=user_id, roles=body.roles)
        return CustomerAnswer.of(customer)

    return router
