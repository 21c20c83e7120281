"""The limits of profiles and KYC tiers, for staff."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request

from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from services.fraud.api.limit_models import LimitsBody, ProfileLimitsBody, SetLimitsAnswer
from services.fraud.domain.set_by_staff import SetLimits
from services.fraud.use_cases.set_policy_limits import SetPolicyLimits
from services.fraud.views.set_by_staff import SetByStaff

_Profile = Annotated[Literal["retail", "business"], Path(description="`retail` or `business`")]
_Tier = Annotated[Literal["1", "2", "3"], Path(description="1 to 3; tier 0 sends nothing")]
_Setter = Annotated[Principal, permitted("limit_policy.set")]
_READ = [permitted("limit_policy.read")]


def limit_policy_router(in_force: SetByStaff, set_limits: SetPolicyLimits) -> APIRouter:
    """Return the routes by which compliance says what profiles and tiers may send."""
    router = APIRouter(prefix="/api/v1/admin/fraud", tags=["staff"], responses=refusals("role_required"))
    changes = refusals("number_not_whole", "minimum_above_maximum", "limit_above_cap")

    @router.get("/limit-profiles/{profile}", summary="See the limits of a profile", dependencies=_READ)
    async def get_profile_limits(profile: _Profile) -> SetLimitsAnswer:
        """Return the limits in force, why they are so, and since when."""
        return _answer(await in_force.limits("profile", profile))

    @router.put("/limit-profiles/{profile}", summary="Set the limits of a profile", responses=changes)
    async def put_profile_limits(
        profile: _Profile, body: ProfileLimitsBody, _principal: _Setter, request: Request
    ) -> SetLimitsAnswer:
        """Replace them; they hold for transfers decided ten seconds from now and later."""
        return _answer(
            await set_limits(
                asker=asker_of(request), kind="profile", subject=profile, bounds=body.bounds(), reason=body.reason
            )
        )

    @router.get("/limit-tiers/{tier}", summary="See the limits of a KYC tier", dependencies=_READ)
    async def get_tier_limits(tier: _Tier) -> SetLimitsAnswer:
        """Return the limits in force; null leaves one to the profile."""
        return _answer(await in_force.limits("tier", tier))

    @router.put("/limit-tiers/{tier}", summary="Set the limits of a KYC tier", responses=changes)
    async def put_tier_limits(tier: _Tier, body: LimitsBody, _principal: _Setter, request: Request) -> SetLimitsAnswer:
        """Replace them; they hold for transfers decided ten seconds from now and later."""
        return _answer(
            await set_limits(
                asker=asker_of(request), kind="tier", subject=tier, bounds=body.bounds(), reason=body.reason
            )
        )

    return router


def _answer(limits: SetLimits) -> SetLimitsAnswer:
    return SetLimitsAnswer.of(limits.bounds, reason=limits.reason, set_by=limits.set_by, set_at=limits.set_at)
