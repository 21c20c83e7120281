"""GET /api/v1/transfers/{id}: what became of a transfer."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from libs.common.db.hot import HotConnection
from libs.common.errors import NotFound
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.policy import require_party
from libs.common.ids import is_id
from services.gateway.use_cases.await_outcomes import Waiters
from services.gateway.views.known_transfers import find_transfer


def transfer_status_router(connection: HotConnection, waiters: Waiters) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/api/v1", tags=["transfers"])

    @router.get(
        "/transfers/{transfer_id}",
        summary="Show a transfer",
        description="For who asked for it, payer, payees and staff; a reversal is a transfer too. In its newest state: "
        "`status` is accepted, held, posted, refused, blocked, voided or parked. Beside a `code` stands "
        "`failure_reason`; its numbers are for the payer and staff alone.",
        responses={
            200: {
                "description": "The transfer.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/TransferView"}}},
            },
            404: {"description": "`transfer_not_found`: no such transfer, or not yours."},
        },
    )
    async def show(
        transfer_id: Annotated[str, Path(max_length=64)], principal: Annotated[Principal, permitted("transfer.read")]
    ) -> Response:
        found = await find_transfer(connection, transfer_id, waiters.newest) if is_id(transfer_id) else None
        if found is None:
            raise NotFound("transfer_not_found", "There is no such transfer, or it is not yours.")
        require_party(principal, found.party_ids, what="transfer")
        newest = waiters.newest(found.outcome)
        knows_facts = principal.is_staff() or principal.user_id in found.facts_ids
        body = found.render(None if newest is found.outcome else newest, knows_facts=knows_facts)
        return Response(body, media_type="application/json")

    return router
