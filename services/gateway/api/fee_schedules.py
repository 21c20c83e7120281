"""POST /api/v1/admin/fee-schedules: staff put the next fee schedule in force."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from libs.common.contracts.gateway import FeeRule, FeeTier, PublishFeeSchedule
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.models import IdText, StrictModel, WholeNumber
from libs.common.http.openapi import refusals
from libs.common.idempotency_keys import read_key
from libs.common.money import MAX_AMOUNT_MINOR
from services.gateway.api.command_models import CommandAccepted
from services.gateway.api.command_requests import COMMAND_HEADERS, CommandRoutes
from services.gateway.domain.idempotency import hash_body
from services.gateway.use_cases.accept_commands import AskedCommand

_SCOPE: Final = "fee-schedules"
_LOCATION: Final = "/api/v1/fee-schedules/current"
Minor = Annotated[int, Field(ge=0, le=MAX_AMOUNT_MINOR)]


class TierIn(StrictModel):
    """What is taken from amounts of `from_minor` on, up to the next tier."""

    from_minor: Minor
    flat_minor: Minor = 0
    rate_per_million: Annotated[int, Field(ge=0, le=1_000_000, description="2,500 is 2.5 per mille."), WholeNumber] = 0


class RuleIn(StrictModel):
    """One fee or tax on one kind of transfer in one asset; it is withheld from what the payee gets."""

    rule_id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    asset: Annotated[str, Field(min_length=3, max_length=12)]
    kind: Literal["transfer", "deposit", "withdrawal"]
    credit: Literal["treasury", "fees"]
    tiers: Annotated[list[TierIn], Field(min_length=1, max_length=20, description="In order, the first from 0.")]
    minimum_minor: Minor = 0
    maximum_minor: Minor = MAX_AMOUNT_MINOR
    rounding: Literal["down", "up", "half_even"] = "down"


class FeeScheduleIn(StrictModel):
    """All rules of the next version; legs from or to an exempt account pay nothing."""

    rules: Annotated[list[RuleIn], Field(max_length=100)]
    exempt_account_ids: Annotated[list[IdText], Field(max_length=1_000, default_factory=list)]


class FeeSchedulePublished(BaseModel):
    """The version that is in force from the journal record at `journal_index` on."""

    command_id: str
    version: int
    journal_index: int


def fee_schedules_router(parts: CommandRoutes) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/api/v1/admin", tags=["staff"])

    @router.post(
        "/fee-schedules",
        summary="Put a fee schedule in force",
        status_code=201,
        response_model=FeeSchedulePublished,
        responses={
            202: {"description": "Durable, not decided yet.", "model": CommandAccepted},
            **refusals(
                "role_required",
                "idempotency_key_missing",
                "idempotency_key_invalid",
                "idempotency_key_reused",
                "number_not_whole",
                "fee_rules_out_of_bounds",
                "asset_unknown",
                "fee_tiers_invalid",
                "fee_out_of_bounds",
                "fee_falls",
            ),
        },
        openapi_extra=COMMAND_HEADERS,
    )
    async def post_fee_schedule(
        body: FeeScheduleIn,
        principal: Annotated[Principal, permitted("fee_schedule.publish")],
        request: Request,
        idempotency_key: Annotated[str | None, Header(include_in_schema=False)] = None,
    ) -> Response:
        """Replace all rules for every transfer from now on; holds keep the schedule of their day.

        Needs the role operator.
        """
        rules = tuple(_rule(rule) for rule in body.rules)
        exempt = tuple(body.exempt_account_ids)
        asked = AskedCommand(
            _SCOPE,
            read_key(idempotency_key),
            hash_body((rules, exempt)),
            principal.user_id,
            principal.user_id,
            lambda command_id, requested_at: PublishFeeSchedule(
                command_id=command_id,
                actor_id=principal.user_id,
                rules=rules,
                exempt_account_ids=exempt,
                requested_at=requested_at,
            ),
        )
        decided = await parts.submit(request, principal, asked)
        command = decided.taken.command
        if command.outcome.status == "refused":
            return decided.refused(_LOCATION, {"command_id": command.command_id})
        if command.outcome.status != "done":
            return decided.accepted(_LOCATION)
        shown = FeeSchedulePublished(
            command_id=command.command_id,
            version=int(command.outcome.facts["fee_schedule"]),
            journal_index=command.outcome.journal_index,
        )
        return decided.answer(201, shown.model_dump_json().encode(), location=_LOCATION)

    return router


def _rule(rule: RuleIn) -> FeeRule:
    return FeeRule(
        rule_id=rule.rule_id,
        asset=rule.asset,
        kind=rule.kind,
        credit=rule.credit,
        tiers=tuple(FeeTier(tier.from_minor, tier.flat_minor, tier.rate_per_million) for tier in rule.tiers),
        minimum_minor=rule.minimum_minor,
        maximum_minor=rule.maximum_minor,
        rounding=rule.rounding,
    )
