"""Rule sets in the shadow, for staff: let one judge there, take it out, and see what it would have decided."""

from typing import Annotated, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel

from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.days import require_days
from libs.common.http.gate import permitted
from libs.common.http.id_pages import PAGE, PageCursor, PageSize, next_of, place_of
from libs.common.http.openapi import refusals
from services.fraud.api.ruleset_models import RulesetAnswer, RulesetReasonBody, RulesetVersion
from services.fraud.api.statistics import FirstDay, LastDay
from services.fraud.use_cases.change_ruleset import ChangeRuleset
from services.fraud.views.show_shadow import ChangedDecision, ShadowComparison, ShowShadow

_MOVED: Final = ("ruleset_not_found", "ruleset_status")
_COMPARED: Final = ("ruleset_not_found", "conflicting_parameters", "period_too_long")


class ChangedDecisionPage(BaseModel):
    """A page of decisions, newest first. `next` asks for older ones; null: there are none."""

    decisions: list[ChangedDecision]
    next: str | None


def ruleset_shadows_router(show: ShowShadow, change: ChangeRuleset) -> APIRouter:
    """Return the routes of the shadow."""
    router = APIRouter(prefix="/api/v1/admin/fraud/rulesets", tags=["staff"], responses=refusals("role_required"))
    _add_moves(router, change)
    _add_reading(router, show)
    return router


def _add_moves(router: APIRouter, change: ChangeRuleset) -> None:
    @router.post(
        "/{version}/shadow",
        summary="Let a rule set judge in the shadow",
        responses=refusals(*_MOVED, "too_many_shadows"),
    )
    async def post_shadow(
        version: RulesetVersion,
        body: RulesetReasonBody,
        _principal: Annotated[Principal, permitted("ruleset.publish")],
        request: Request,
    ) -> RulesetAnswer:
        """Have it judge every decision once more from now on; what it says is kept and does nothing.

        One person may do that, whatever the set's risk: for customers nothing changes.
        """
        asker = asker_of(request)
        return RulesetAnswer.of(await change(asker=asker, version=version, action="shadow", reason=body.reason))

    @router.post("/{version}/unshadow", summary="Take a rule set out of the shadow", responses=refusals(*_MOVED))
    async def post_unshadow(
        version: RulesetVersion,
        body: RulesetReasonBody,
        _principal: Annotated[Principal, permitted("ruleset.publish")],
        request: Request,
    ) -> RulesetAnswer:
        """Make it a draft again; what it said in the shadow stays."""
        asker = asker_of(request)
        return RulesetAnswer.of(await change(asker=asker, version=version, action="unshadow", reason=body.reason))


def _add_reading(router: APIRouter, show: ShowShadow) -> None:
    @router.get(
        "/{version}/shadow",
        summary="Compare what a rule set said in the shadow with what was decided",
        responses=refusals(*_COMPARED),
        dependencies=[permitted("ruleset.read")],
    )
    async def get_shadow(version: RulesetVersion, start_date: FirstDay, end_date: LastDay) -> ShadowComparison:
        """Return counts and US cents by verdict then and there, by rule and by hour.

        Not every decision is judged: more may come than it can follow, and a process that ends loses what waited. The
        answer says how many were made, and what is known of those that were not judged.
        """
        return await show.compare(version, start_date, end_date, require_days(start_date, end_date))

    @router.get(
        "/{version}/shadow/changed",
        summary="List decisions that a rule set in the shadow would have made otherwise",
        responses=refusals(*_COMPARED, "cursor_invalid"),
    )
    async def get_changed(
        version: RulesetVersion,
        principal: Annotated[Principal, permitted("ruleset.read")],
        start_date: FirstDay,
        end_date: LastDay,
        limit: PageSize = PAGE,
        cursor: PageCursor = None,
    ) -> ChangedDecisionPage:
        """Return them newest first, with the rules of both sets; also those on which it could not be asked.

        What the reader himself sent is left out.
        """
        reader_id = principal.user_id
        question = {"shadow": version, "start_date": start_date, "end_date": end_date, "reader": reader_id}
        days, before_id = require_days(start_date, end_date), place_of(cursor, question)
        found = await show.changed(version, days, reader_id=reader_id, before_id=before_id, limit=limit + 1)
        page = found[:limit]
        following = next_of(question, page[-1].decision_id) if len(found) > limit else None
        return ChangedDecisionPage(decisions=page, next=following)
