"""What one may send: for the customer himself."""

from typing import Annotated

from fastapi import APIRouter

from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from services.fraud.api.limit_models import LimitAnswer, LimitsAnswer
from services.fraud.use_cases.show_limits import ShowLimits


def limits_router(show_limits: ShowLimits) -> APIRouter:
    """Return the route about one's own limits."""
    router = APIRouter(prefix="/api/v1/limits", tags=["transfers"])

    @router.get("", summary="What I may send, and how much of it is used")
    async def get_limits(principal: Annotated[Principal, permitted("limits.read")]) -> LimitsAnswer:
        """Return the limits that hold for the caller's next transfer: of his profile, his tier or himself.

        Windows are the 60 minutes and the 24 hours before now, not calendar days.
        """
        found = await show_limits(principal.user_id)
        limits = [LimitAnswer.of(one) for one in found.limits]
        return LimitsAnswer(profile=found.profile, tier=found.tier, asset="USD", limits=limits)

    return router
