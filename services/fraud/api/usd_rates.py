"""What assets are worth in US dollars, for staff."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.models import AssetCode
from libs.common.http.openapi import refusals
from services.fraud.api.limit_models import UsdRateAnswer, UsdRateBody
from services.fraud.use_cases.set_usd_rate import SetUsdRate
from services.fraud.views.set_by_staff import SetByStaff

_Asset = Annotated[AssetCode, Path(description="the asset's code")]


def usd_rates_router(in_force: SetByStaff, set_usd_rate: SetUsdRate) -> APIRouter:
    """Return the routes by which staff say what assets are worth."""
    router = APIRouter(
        prefix="/api/v1/admin/fraud/usd-rates/{asset}", tags=["staff"], responses=refusals("role_required")
    )

    @router.get(
        "",
        summary="See what an asset is worth in US dollars",
        responses=refusals("usd_rate_not_found"),
        dependencies=[permitted("limit_policy.read")],
    )
    async def get_usd_rate(asset: _Asset) -> UsdRateAnswer:
        """Return the rate in force. Each decision stores the rate it used."""
        return UsdRateAnswer.of(asset, await in_force.rate(asset))

    @router.put(
        "", summary="Say what an asset is worth in US dollars", responses=refusals("usd_rate_fixed", "number_not_whole")
    )
    async def put_usd_rate(
        asset: _Asset,
        body: UsdRateBody,
        _principal: Annotated[Principal, permitted("usd_rate.set")],
        request: Request,
    ) -> UsdRateAnswer:
        """Set the rate. A new asset can be sent at once; a change holds for transfers ten seconds from now and later.

        What waits for a rate is decided by it if it comes within two seconds, and is blocked otherwise.
        """
        return UsdRateAnswer.of(
            asset,
            await set_usd_rate(
                asker=asker_of(request),
                asset=asset,
                numerator=body.numerator,
                denominator=body.denominator,
                reason=body.reason,
            ),
        )

    return router
