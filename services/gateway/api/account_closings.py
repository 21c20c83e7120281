"""POST /internal/account-closings: accounts has the ledger close what a customer leaves behind."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, SecretStr

from libs.common.contracts.gateway import ChangeAccount
from libs.common.http.models import IdText, StrictModel
from libs.common.http.sisters import sisters_router
from services.gateway.api.command_requests import CommandRoutes
from services.gateway.domain.idempotency import hash_body
from services.gateway.use_cases.accept_commands import AskedCommand

_WAIT_SECONDS = 5.0


class ClosingIn(StrictModel):
    """Which account, whose, and by which try: a new try asks the ledger anew, the same one gets the same answer."""

    account_id: IdText
    owner_id: IdText
    attempt_id: IdText


class ClosingOut(BaseModel):
    """What the ledger decided, or `accepted` when it has not answered in time; `code` says why it refused."""

    status: Literal["done", "refused", "accepted"]
    code: str


def account_closings_router(parts: CommandRoutes, internal_token: SecretStr) -> APIRouter:
    """Return the route."""
    router = sisters_router(internal_token)

    @router.post("/account-closings")
    async def post_closing(body: ClosingIn) -> ClosingOut:
        if parts.money.halt.is_halted:
            raise parts.money.halt.refusal()
        asked = AskedCommand(
            "account-closings",
            f"leaving-{body.attempt_id}-{body.account_id}",
            hash_body((body.account_id, "closed")),
            body.owner_id,
            body.account_id,
            lambda command_id, requested_at: ChangeAccount(
                command_id=command_id,
                account_id=body.account_id,
                actor_id=body.owner_id,
                status="closed",
                minimum_minor=None,
                maximum_minor=None,
                reason_commitment="",
                requested_at=requested_at,
                only_while="active",
            ),
        )
        outcome = (await parts.intake.submit(asked, _WAIT_SECONDS)).command.outcome
        status = outcome.status
        return ClosingOut(status=status if status in {"done", "refused"} else "accepted", code=outcome.code)

    return router
