"""Erasing what is known of a person, which takes two of the staff."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from libs.common.clock import to_rfc3339
from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.id_pages import PAGE, PageCursor, PageSize, next_of, place_of
from libs.common.http.openapi import refusals
from libs.common.http.policy import require_not_self
from services.accounts.api.api_keys import IdInPath
from services.accounts.domain.erasure import Erasure, StopReason
from services.accounts.use_cases.erase_customer import EraseCustomer
from services.accounts.views.erasures import ErasureView

_QUESTION: Final = {"erasures": "waiting"}
_OWN: Final = "Nobody erases himself; ask a colleague."


class ErasureAnswer(BaseModel):
    """What somebody asked for and a colleague may approve. Times are RFC 3339 UTC."""

    user_id: Annotated[str, Field(description="Who is to be erased.")]
    requested_by: Annotated[str, Field(description="Who asked; anybody else of the staff may approve.")]
    requested_at: Annotated[str, Field(description="When somebody asked.")]
    expires_at: Annotated[str, Field(description="Until when; after that somebody has to ask anew.")]

    @classmethod
    def of(cls, erasure: Erasure) -> "ErasureAnswer":
        """Return the answer about this one."""
        return cls(
            user_id=erasure.user_id,
            requested_by=erasure.requested_by,
            requested_at=to_rfc3339(erasure.requested_at),
            expires_at=to_rfc3339(erasure.expires_at),
        )


class ErasureList(BaseModel):
    """A page of what waits; `next` is the cursor of the page after it, null on the last."""

    erasures: Annotated[list[ErasureAnswer], Field(description="What waits for a second person.")]
    next: str | None


def erasures_router(erase_customer: EraseCustomer, erasures: ErasureView) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api/v1/admin", tags=["staff"])

    @router.put(
        "/users/{user_id}/erasure",
        summary="Ask to erase a person",
        responses=refusals(
            "role_required",
            "own_deletion",
            "customer_not_found",
            "customer_not_closed",
            "retention_not_over",
            "customer_erased",
        ),
    )
    async def put_erasure(
        user_id: IdInPath, principal: Annotated[Principal, permitted("customer.ask_erasure")], request: Request
    ) -> ErasureAnswer:
        """Ask to destroy what is known of a customer who closed long enough ago, usually five years.

        Nothing is destroyed before a colleague approves, within seven days. Asking again, whoever does, returns what
        waits already.
        """
        require_not_self(principal, user_id, "own_deletion", _OWN)
        return ErasureAnswer.of(await erase_customer.ask(user_id, asker_of(request)))

    _add_stopping(router, erase_customer)

    @router.post(
        "/users/{user_id}/erasure/approve",
        status_code=204,
        summary="Erase a person, as a colleague asked",
        responses=refusals(
            "role_required",
            "own_deletion",
            "own_request",
            "erasure_not_requested",
            "customer_not_found",
            "customer_not_closed",
            "retention_not_over",
        ),
    )
    async def post_approval(
        user_id: IdInPath, principal: Annotated[Principal, permitted("customer.erase")], request: Request
    ) -> None:
        """Destroy the customer's keys, unless you asked for it yourself. It cannot be undone.

        Name, e-mail and what he applied for verification with become unreadable. Accounts, entries and audit entries
        stay, under his id. Repeating changes nothing.
        """
        require_not_self(principal, user_id, "own_deletion", _OWN)
        await erase_customer.approve(user_id, asker_of(request))

    @router.get(
        "/erasures", summary="List what waits to be erased", responses=refusals("role_required", "cursor_invalid")
    )
    async def get_erasures(
        _principal: Annotated[Principal, permitted("customer.list_erasures")],
        limit: PageSize = PAGE,
        cursor: PageCursor = None,
    ) -> ErasureList:
        """Return what was asked for and waits for a colleague, the customer who registered last first."""
        page = await erasures.waiting(place_of(cursor, _QUESTION), limit + 1)
        shown = [ErasureAnswer.of(erasure) for erasure in page[:limit]]
        return ErasureList(erasures=shown, next=next_of(_QUESTION, shown[-1].user_id) if len(page) > limit else None)

    return router


def _add_stopping(router: APIRouter, erase_customer: EraseCustomer) -> None:
    @router.delete(
        "/users/{user_id}/erasure",
        status_code=204,
        summary="Withdraw or refuse the erasure of a person",
        responses=refusals("role_required", "own_deletion", "erasure_not_requested", "customer_erased"),
    )
    async def delete_erasure(
        user_id: IdInPath,
        reason: Annotated[StopReason, Query(description="why nothing is to be erased after all")],
        principal: Annotated[Principal, permitted("customer.stop_erasure")],
        request: Request,
    ) -> None:
        """End what somebody asked for, before a colleague approves: withdraw what you asked, refuse what another did.

        Nothing is destroyed then; whoever may can ask anew.
        """
        require_not_self(principal, user_id, "own_deletion", _OWN)
        await erase_customer.stop(user_id, reason, asker_of(request))
