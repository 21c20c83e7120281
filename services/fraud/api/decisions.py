"""Decisions, for staff: what was decided on a transfer, and why."""

from typing import Annotated

from fastapi import APIRouter, Path

from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.models import IdText
from libs.common.http.openapi import refusals
from services.fraud.views.show_decision import Decision, ShowDecision

_Reader = Annotated[Principal, permitted("decision.read")]


def decisions_router(show_decision: ShowDecision) -> APIRouter:
    """Return the routes of decisions."""
    router = APIRouter(prefix="/api/v1/admin/fraud", tags=["fraud"])

    @router.get(
        "/decisions/{transfer_id}",
        summary="The decision on a transfer, explained",
        responses=refusals("role_required", "own_transfer", "decision_not_found"),
    )
    async def read_decision(principal: _Reader, transfer_id: Annotated[IdText, Path()]) -> Decision:
        """Return what was decided, and why: each rule with what it read and said, limits, lists, every feature."""
        return await show_decision(transfer_id, reader_id=principal.user_id)

    @router.get(
        "/decisions/by-id/{decision_id}",
        summary="The same by the decision's own id",
        responses=refusals("role_required", "own_transfer", "decision_not_found"),
    )
    async def read_decision_by_id(principal: _Reader, decision_id: Annotated[IdText, Path()]) -> Decision:
        """Return the decision that an answer or a message named. Its id tells when it was made."""
        return await show_decision.by_id(decision_id, reader_id=principal.user_id)

    return router
