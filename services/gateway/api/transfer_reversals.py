"""GET /api/v1/transfers/{id}/reversals: what was given back of a transfer, and what was refused to be."""

from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from libs.common.db.hot import HotConnection
from libs.common.errors import NotFound
from libs.common.http.auth import Principal
from libs.common.http.cursors import CURSOR_CHARACTERS, Cursor, decode_cursor, encode_cursor
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from libs.common.http.policy import require_party
from libs.common.ids import is_id
from services.gateway.use_cases.await_outcomes import Waiters
from services.gateway.views.known_transfers import find_transfer
from services.gateway.views.reversals import ReversalPage, list_reversals
from services.gateway.views.transfer_lists import ID_MAX

_PAGE: Final = 50
_PAGE_MAX: Final = 200
_SCHEMA: Final = {"schema": {"$ref": "#/components/schemas/ReversalPage"}}
_encode = msgspec.json.Encoder().encode


def transfer_reversals_router(connection: HotConnection, waiters: Waiters) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/api/v1/transfers", tags=["transfers"])

    @router.get(
        "/{transfer_id}/reversals",
        summary="List a transfer's reversals",
        responses={
            200: {"description": "A page of reversals.", "content": {"application/json": _SCHEMA}},
            **refusals("transfer_not_found", "cursor_invalid"),
        },
    )
    async def list_all(
        transfer_id: Annotated[str, Path(max_length=64)],
        principal: Annotated[Principal, permitted("transfer.read")],
        limit: Annotated[int, Query(ge=1, le=_PAGE_MAX, description="reversals in one answer")] = _PAGE,
        cursor: Annotated[str | None, Query(max_length=CURSOR_CHARACTERS, description="`next` of another page")] = None,
    ) -> Response:
        """Return what was asked to be given back of a transfer, oldest first, refused reversals included.

        For those who may see the transfer: who asked for it, payer, payees and staff. The numbers in the
        `failure_reason` of a refused one are for staff alone.
        """
        transfer = await find_transfer(connection, transfer_id) if is_id(transfer_id) else None
        if transfer is None:
            raise NotFound("transfer_not_found", "There is no such transfer, or it is not yours.")
        require_party(principal, transfer.party_ids, what="transfer")
        question = {"reversals_of": transfer_id}
        start = None if cursor is None else decode_cursor(cursor, question, position_max=ID_MAX)
        found = await list_reversals(
            connection,
            transfer,
            waiters.newest,
            beyond=0 if start is None else start.position,
            limit=limit,
            knows_facts=principal.is_staff(),
        )
        later = found.later_than
        more = None if later is None else encode_cursor(Cursor("next", later), question)
        return Response(_encode(ReversalPage(reversals=found.reversals, next=more)), media_type="application/json")

    return router
