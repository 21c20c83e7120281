"""What a sister service asks the ledger; no part of the public contract."""

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import SecretStr

from libs.common.contracts.fraud import TransferScreened
from libs.common.errors import Malformed, NotFound, Unprocessable
from libs.common.http.sisters import sisters_router
from libs.common.ids import is_id
from services.ledger.domain.commands import require_sane
from services.ledger.domain.transfer import Transfer
from services.ledger.messages import answer_message
from services.ledger.use_cases.foresee_transfer import ForeseeTransfer
from services.ledger.views.accounts import AccountView

_decode = msgspec.json.Decoder(TransferScreened).decode


def internal_router(
    foresee: ForeseeTransfer, accounts: AccountView, internal_token: SecretStr, shard: int
) -> APIRouter:
    """Return the questions as routes."""
    router = sisters_router(internal_token)

    @router.post("/dry-runs")
    async def run_dry(request: Request) -> Response:
        """Answer a screened transfer with the TransferChanged it would cause; nothing is written or said."""
        try:
            screening = _decode(await request.body())
        except msgspec.ValidationError as failure:
            raise Unprocessable("invalid_request", str(failure)) from failure
        except msgspec.DecodeError as failure:
            raise Malformed("malformed_json", "The body is not valid JSON in UTF-8.") from failure
        require_sane(screening.command)
        decisions = await foresee(screening)
        (transfer,) = [answer for answer in decisions.answers if isinstance(answer, Transfer)]
        return Response(answer_message(transfer, shard).payload, media_type="application/json")

    @router.get("/owners/{owner_id}/unsettled-account")
    async def get_unsettled_account(owner_id: str) -> dict[str, str | None]:
        """Name an account of the customer with money or something pending, if he has one."""
        if not is_id(owner_id):
            raise NotFound("customer_not_found", "There is no such customer.")
        return {"account_id": await accounts.unsettled_of(owner_id)}

    return router
