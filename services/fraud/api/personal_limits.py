"""Limits of one customer's own, for staff."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from libs.common.errors import Unprocessable
from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.models import IdText, ShortText
from libs.common.http.openapi import refusals
from libs.common.http.policy import require_not_self
from services.fraud.api.limit_models import CustomerLimitsAnswer, LimitAnswer, LimitsBody, SetLimitsAnswer
from services.fraud.domain.policy import UNBOUNDED
from services.fraud.domain.set_by_staff import PersonalLimits
from services.fraud.use_cases.set_personal_limits import SetPersonalLimits
from services.fraud.use_cases.show_limits import ShowLimits
from services.fraud.views.set_by_staff import SetByStaff

_UserId = Annotated[IdText, Path(description="the customer")]
_Setter = Annotated[Principal, permitted("personal_limits.set")]


def personal_limits_router(
    in_force: SetByStaff, show_limits: ShowLimits, set_personal_limits: SetPersonalLimits
) -> APIRouter:
    """Return the routes by which compliance gives customers limits of their own."""
    router = APIRouter(
        prefix="/api/v1/admin/fraud/customers/{user_id}/limits",
        tags=["staff"],
        responses=refusals("role_required", "customer_not_found"),
    )

    @router.get("", summary="See a customer's limits", dependencies=[permitted("personal_limits.read")])
    async def get_personal_limits(user_id: _UserId) -> CustomerLimitsAnswer:
        """Return what holds for his next transfer, what he has used, and what was set for him alone."""
        personal = await in_force.personal_limits(user_id)
        found = await show_limits(user_id)
        return CustomerLimitsAnswer(
            profile=found.profile,
            tier=found.tier,
            asset="USD",
            limits=[LimitAnswer.of(one) for one in found.limits],
            personal=_answer(personal),
        )

    @router.put(
        "",
        summary="Give a customer limits of his own",
        responses=refusals(
            "own_limits", "limits_empty", "number_not_whole", "minimum_above_maximum", "limit_above_cap"
        ),
    )
    async def put_personal_limits(
        user_id: _UserId, body: LimitsBody, principal: _Setter, request: Request
    ) -> SetLimitsAnswer:
        """Replace all of them; they hold from his next transfer on. They make limits narrower, never wider."""
        _require_colleague(principal, user_id)
        if body.bounds() == UNBOUNDED:
            raise Unprocessable("limits_empty", "Name at least one limit; DELETE ends them.")
        return _answer(
            await set_personal_limits(
                asker=asker_of(request), user_id=user_id, bounds=body.bounds(), reason=body.reason
            )
        )

    @router.delete("", summary="End a customer's own limits", responses=refusals("own_limits"))
    async def delete_personal_limits(
        user_id: _UserId,
        reason: Annotated[ShortText, Query(description="why they end")],
        principal: _Setter,
        request: Request,
    ) -> SetLimitsAnswer:
        """Leave him the limits of his profile and tier, from his next transfer on."""
        _require_colleague(principal, user_id)
        return _answer(
            await set_personal_limits(asker=asker_of(request), user_id=user_id, bounds=UNBOUNDED, reason=reason)
        )

    return router


def _require_colleague(principal: Principal, user_id: str) -> None:
    require_not_self(principal, user_id, "own_limits", "Nobody sets his own limits; ask a colleague.")


def _answer(limits: PersonalLimits) -> SetLimitsAnswer:
    return SetLimitsAnswer.of(limits.bounds, reason=limits.reason, set_by=limits.set_by, set_at=limits.set_at)
