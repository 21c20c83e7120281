"""Statistics of decisions, for staff."""

from typing import Annotated

from fastapi import APIRouter, Query

from libs.common.http.days import Day, require_days
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from services.fraud.views.fraud_statistics import FraudStatistics, ShowStatistics

FirstDay = Annotated[Day, Query(description="the first day, UTC")]
LastDay = Annotated[Day, Query(description="the last day, UTC, included; at most 366 days in all")]


def statistics_router(show_statistics: ShowStatistics) -> APIRouter:
    """Return the route of statistics."""
    router = APIRouter(prefix="/api/v1/admin", tags=["staff"])

    @router.get(
        "/fraud-stats",
        summary="Count what was decided, by verdict, code, reason, rule, hour and day",
        responses=refusals("role_required", "conflicting_parameters", "period_too_long"),
        dependencies=[permitted("fraud_statistics.read")],
    )
    async def get_statistics(start_date: FirstDay, end_date: LastDay) -> FraudStatistics:
        """Return counts and US cents of these days. They were counted as it was decided: they always add up."""
        return await show_statistics(start_date, end_date, require_days(start_date, end_date))

    return router
