"""Decisions, for staff: what was decided on a transfer, and why."""

from typing import Annotated

from fastapi import APIRouter, Path

from libs.common.http.gate import permitted
from libs.common.http.models import IdText
from services.fraud.views.show_decision import Decision, ShowDecision


def decisions_router(show_decision: ShowDecision) -> APIRouter:
    """Return the routes of decisions."""
    router = APIRouter(prefix="/api/v1/admin/fraud", tags=["fraud"])

    @router.get(
        "/decisions/{transfer_id}",
        summary="The stored decision on a transfer, with its features",
        dependencies=[permitted("decision.read")],
    )
    async def read_decision(transfer_id: Annotated[IdText, Path()]) -> Decision:
        return await show_decision(transfer_id)

    return router
