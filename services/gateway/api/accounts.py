"""GET /api/v1/accounts/{id}: what accounts knows of it and what the ledger says it holds, as one answer.

Neither service keeps what the other one owns, so there is no copy to fall behind: both are asked, each judges for
itself whether the caller may know, and the ledger's word stands wherever both have one.
"""

import asyncio
from typing import Annotated, Any, Final

import httpx2
import msgspec
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from libs.common.errors import InvariantBroken, NotFound
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from libs.common.ids import is_id
from services.gateway.api.proxy import WholeAnswer, ask_for_whole

_OK: Final = 200
_NOT_FOUND: Final = 404


class AccountShown(BaseModel):
    """An account with its numbers in minor units; `held_minor` is on its way in and not yet the owner's.

    `minimum_minor` (below zero: an overdraft) and `maximum_minor` are the least and the most it may hold. Absent ones
    were not set: then it is zero, and 2^53-1. `version` is 0 until the ledger has opened it. An account of the house,
    which staff may see, has no `is_primary`, `name` and `metadata`.
    """

    account_id: str
    account_number: Annotated[str, Field(examples=["TS17000000000001"])]
    asset: str
    status: str
    is_primary: bool | None = None
    name: str | None = None
    metadata: dict[str, str] | None = None
    posted_minor: int
    available_minor: int
    pending_out_minor: int
    held_minor: int
    version: int
    minimum_minor: int | None = None
    maximum_minor: int | None = None


def accounts_router(accounts: httpx2.AsyncClient, ledger: httpx2.AsyncClient) -> APIRouter:
    """Return the route; both services are asked with the caller's own token."""
    router = APIRouter(prefix="/api/v1/accounts", tags=["accounts"])

    @router.get(
        "/{account_id}",
        summary="See an account",
        response_model=AccountShown,
        responses=refusals("account_not_found"),
    )
    async def get_account(
        account_id: Annotated[str, Path(max_length=64)],
        principal: Annotated[Principal, permitted("account.read")],
        request: Request,
    ) -> Response:
        """Return what the account holds now, the limits that staff set for it, and what its owner wrote on it."""
        if not is_id(account_id):
            raise NotFound("account_not_found", "There is no such account, or it is not yours.")
        target = f"/api/v1/accounts/{account_id}"
        known, books = await asyncio.gather(
            ask_for_whole(accounts, request, target), ask_for_whole(ledger, request, target)
        )
        for answer in (known, books):
            if answer.status_code not in (_OK, _NOT_FOUND):
                return _as_it_came(answer)
        if known.status_code == _NOT_FOUND and not principal.is_staff():
            return _as_it_came(known)  # the books keep accounts that nobody is shown any more
        if books.status_code == _NOT_FOUND:
            return _as_it_came(known)  # not opened yet, or not there at all
        parts = [_read(answer) for answer in (known, books) if answer.status_code == _OK]
        return Response(
            msgspec.json.encode({name: value for part in parts for name, value in part.items()}),
            media_type="application/json",
        )

    return router


def _read(answer: WholeAnswer) -> dict[str, Any]:
    try:
        document: dict[str, Any] = msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.MsgspecError as failure:
        raise InvariantBroken("an account is told in the form agreed on") from failure
    return document


def _as_it_came(answer: WholeAnswer) -> Response:
    return Response(answer.content, answer.status_code, headers=dict(answer.headers))
