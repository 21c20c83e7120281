"""What transfers cost, for everybody who has an account here."""

import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path
from pydantic import BaseModel

from libs.common.clock import to_rfc3339
from libs.common.errors import NotFound
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from services.ledger.views.fee_schedules import FeeScheduleView

_CURRENT: Final = "current"


class FeeScheduleAnswer(BaseModel):
    """A version of the fee schedule; version 0 has no rules and was never published."""

    version: int
    schedule: dict[str, Any]
    sha256: str
    journal_index: int | None
    published_at: str | None


def fee_schedules_router(schedules: FeeScheduleView) -> APIRouter:
    """Return the route about fee schedules."""
    router = APIRouter(prefix="/api/v1/fee-schedules", tags=["fees"])

    @router.get("/{version}", summary="See a fee schedule", responses=refusals("fee_schedule_not_found"))
    async def get_schedule(
        version: Annotated[str, Path(pattern=r"^(current|[0-9]{1,9})$", description="a number, or `current`")],
        principal: Annotated[Principal, permitted("fee_schedule.read")],
    ) -> FeeScheduleAnswer:
        """Return the rules of a version, or of the one in force. Which accounts are exempt is shown to staff."""
        found = await schedules.one(None if version == _CURRENT else int(version))
        if found is None:
            if version in {_CURRENT, "0"}:
                return FeeScheduleAnswer(version=0, schedule={}, sha256="", journal_index=None, published_at=None)
            raise NotFound("fee_schedule_not_found", "There is no such version of the fee schedule.")
        schedule = json.loads(found.rules)
        if not principal.is_staff():
            del schedule["exempt_account_ids"]
        return FeeScheduleAnswer(
            version=found.version,
            schedule=schedule,
            sha256=found.sha256.hex(),
            journal_index=found.journal_index,
            published_at=to_rfc3339(found.published_at),
        )

    return router
