"""What a sister service asks fraud; no part of the public contract."""

from typing import Final

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import SecretStr

from libs.common.contracts.transfers import TransferCommand
from libs.common.db.reading import Reading
from libs.common.errors import Malformed, Unprocessable
from libs.common.http.models import IdText
from libs.common.http.moments import Moment
from libs.common.http.sisters import sisters_router
from services.fraud.use_cases.foresee_screening import ForeseeScreening
from services.fraud.views.told_decisions import ToldDecisions

_decode = msgspec.json.Decoder(TransferCommand).decode
_encode = msgspec.json.Encoder().encode

_DECISIONS: Final = 1000
"""How many there are on a page; the page after it begins behind the last of them."""


def internal_router(
    foresee: ForeseeScreening, told: ToldDecisions, reading: Reading, internal_token: SecretStr
) -> APIRouter:
    """Return the questions as routes."""
    router = sisters_router(internal_token)

    @router.post("/dry-runs")
    async def run_dry(request: Request) -> Response:
        """Answer a command with the TransferScreened it would cause; nothing is written, no limit is used."""
        try:
            command = _decode(await request.body())
        except msgspec.ValidationError as failure:
            raise Unprocessable("invalid_request", str(failure)) from failure
        except msgspec.DecodeError as failure:
            raise Malformed("malformed_json", "The body is not valid JSON in UTF-8.") from failure
        async with reading.connection() as connection:
            screening = await foresee(connection, command)
        return Response(_encode(screening), media_type="application/json")

    @router.get("/customers/{user_id}/decisions")
    async def get_decisions(user_id: IdText, since: Moment, after: IdText) -> Response:
        """Return what the customer was told of decisions on his transfers, behind (moment, transfer), oldest first."""
        page = await told.of(user_id, (since, after), _DECISIONS)
        return Response(_encode({"decisions": page}), media_type="application/json")

    return router
