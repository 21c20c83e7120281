"""Decisions, for staff: what was decided on a transfer, and why."""

from typing import Annotated

from fastapi import APIRouter, Path

from libs.common.http.auth import CurrentPrincipal
from libs.common.http.models import IdText
from libs.common.http.policy import require_role
from services.fraud.views.show_decision import Decision, ShowDecision


def decisions_router(show_decision: ShowDecision) -> APIRouter:
    """Return the routes of decisions."""
    router = APIRouter(prefix="/api/v1/admin/fraud", tags=["fraud"])

    @router.get("/decisions/{transfer_id}", summary="The stored decision on a transfer, with its features")
    async def read_decision(transfer_id: Annotated[IdText, Path()], principal: CurrentPrincipal) -> Decision:
        require_role(principal, "compliance", "support", "auditor", "admin")
        return await show_decision(transfer_id)

    return router
