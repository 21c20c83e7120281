"""Receipts of transfers, for their parties and for staff."""

from typing import Annotated

from fastapi import APIRouter, Response

from libs.common.errors import NotFound
from libs.common.http.auth import Principal
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from libs.common.http.policy import require_reader
from libs.common.ids import is_id
from services.ledger.views.receipts import ReceiptView


def receipts_router(receipts: ReceiptView) -> APIRouter:
    """Return the routes about receipts."""
    router = APIRouter(prefix="/api/v1/transfers", tags=["receipts"])

    @router.get("/{transfer_id}/receipt", summary="Get a transfer's receipt", responses=refusals("transfer_not_found"))
    async def get_receipt(transfer_id: str, principal: Annotated[Principal, permitted("transfer.read")]) -> Response:
        """Return the record of the transfer's newest state, with the proof that the journal holds it.

        Anybody can check it offline with the ledger's public key. Refused and blocked transfers have one too.
        """
        receipt = await receipts.one(transfer_id) if is_id(transfer_id) else None
        if receipt is None:
            raise NotFound("transfer_not_found", "There is no such transfer, or it is not yours.")
        party = principal.user_id if principal.user_id in receipt.parties else None
        require_reader(principal, party, what="transfer")
        return Response(receipt.document, media_type="application/json")

    return router
