"""Rule sets, for staff: write, approve, put live."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.cursors import CURSOR_CHARACTERS, Cursor, decode_cursor, encode_cursor
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from services.fraud.api.ruleset_models import (
    VERSION_MAX,
    RulesetAnswer,
    RulesetBody,
    RulesetPageAnswer,
    RulesetReasonBody,
    RulesetVersion,
    WholeRulesetAnswer,
)
from services.fraud.use_cases.change_ruleset import ChangeRuleset
from services.fraud.use_cases.publish_ruleset import PublishRuleset
from services.fraud.use_cases.submit_ruleset import SubmitRuleset
from services.fraud.views.rulesets import RulesetsView

_Limit = Annotated[int, Query(ge=1, le=100, description="rule sets in one answer")]
_Asked = Annotated[str | None, Query(max_length=CURSOR_CHARACTERS, description="`next` of the page before")]


def rulesets_router(
    view: RulesetsView, submit: SubmitRuleset, change: ChangeRuleset, publish: PublishRuleset
) -> APIRouter:
    """Return the routes of rule sets."""
    router = APIRouter(prefix="/api/v1/admin/fraud/rulesets", tags=["staff"], responses=refusals("role_required"))

    @router.get(
        "",
        summary="List the rule sets",
        responses=refusals("cursor_invalid"),
        dependencies=[permitted("ruleset.read")],
    )
    async def get_rulesets(limit: _Limit = 20, cursor: _Asked = None) -> RulesetPageAnswer:
        """Return rule sets without their texts, newest first."""
        below = VERSION_MAX
        if cursor is not None:
            below = decode_cursor(cursor, {}, position_max=VERSION_MAX).position
        found = await view.page(below=below, limit=limit + 1)
        page = found[:limit]
        following = encode_cursor(Cursor("next", page[-1].version), {}) if len(found) > limit else None
        return RulesetPageAnswer(rulesets=[RulesetAnswer.of(one) for one in page], next=following)

    @router.get(
        "/{version}",
        summary="Read a rule set",
        responses=refusals("ruleset_not_found"),
        dependencies=[permitted("ruleset.read")],
    )
    async def get_ruleset(version: RulesetVersion) -> WholeRulesetAnswer:
        """Return a rule set as it was written, and who did what with it."""
        return WholeRulesetAnswer.of(*await view.one(version))

    @router.post("", status_code=201, summary="Write a rule set", responses=refusals("ruleset_invalid"))
    async def post_ruleset(
        body: RulesetBody, _principal: Annotated[Principal, permitted("ruleset.write")], request: Request
    ) -> RulesetAnswer:
        """Store a draft, checked whole: conditions, types, features and every rule's own examples.

        `risk` is `low` if it only looks at more transfers than the live set does, and than the one that two people
        agreed on last: small steps do not add up to a large one. Its author may put it live alone.
        """
        return RulesetAnswer.of(await submit(asker=asker_of(request), document=body.document, reason=body.reason))

    @router.post(
        "/{version}/approve",
        summary="Approve a colleague's rule set",
        responses=refusals("ruleset_not_found", "own_ruleset", "ruleset_approved", "ruleset_status"),
    )
    async def post_approval(
        version: RulesetVersion,
        body: RulesetReasonBody,
        _principal: Annotated[Principal, permitted("ruleset.approve")],
        request: Request,
    ) -> RulesetAnswer:
        """Agree with putting a rule set live that somebody else wrote. It does not decide yet: another puts it live.

        That is for one publication, and for the change from what is live now: once something else is live, a set that
        was approved before needs a new approval.
        """
        return RulesetAnswer.of(await change.approve(asker=asker_of(request), version=version, reason=body.reason))

    @router.post(
        "/{version}/live",
        summary="Put a rule set live",
        responses=refusals("ruleset_not_found", "ruleset_status", "ruleset_needs_approval", "ruleset_invalid"),
    )
    async def post_live(
        version: RulesetVersion,
        body: RulesetReasonBody,
        _principal: Annotated[Principal, permitted("ruleset.publish")],
        request: Request,
    ) -> RulesetAnswer:
        """Let it decide on every transfer from now on, in every process; the one before is retired, and can return.

        It takes a colleague's approval, unless the change is of low risk, or undoes the last one within 24 hours.
        """
        return RulesetAnswer.of(await publish(asker=asker_of(request), version=version, reason=body.reason))

    return router
