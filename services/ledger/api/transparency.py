"""Checkpoints, keys and consistency proofs: public, so that nobody has to ask us for leave to check us."""

from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.responses import PlainTextResponse

from libs.common.errors import NotFound, Unprocessable
from libs.common.http.openapi import refusals
from libs.common.proof.strict_base64 import encode_base64
from services.ledger.views.transparency import TransparencyView

_SIZE_MAX: Final = 2**53 - 1


class ConsistencyAnswer(BaseModel):
    """The hashes of a consistency proof (RFC 9162, 2.1.4), base64."""

    proof: list[str]


def transparency_router(transparency: TransparencyView, vkeys: str) -> APIRouter:
    """Return the public routes; `vkeys` is one verifier key a line, newest first."""
    router = APIRouter(prefix="/api/v1/transparency", tags=["transparency"])

    @router.get(
        "/checkpoint",
        summary="Get the newest checkpoint",
        response_class=PlainTextResponse,
        responses=refusals("checkpoint_not_found"),
    )
    async def get_checkpoint() -> PlainTextResponse:
        """Return the newest signed tree head, a C2SP signed note."""
        note = await transparency.newest_note()
        if note is None:
            raise NotFound("checkpoint_not_found", "The journal is still empty: nothing has been signed.")
        return PlainTextResponse(note)

    @router.get("/key", summary="Get the verifier keys", response_class=PlainTextResponse)
    async def get_key() -> PlainTextResponse:
        """Return the keys that sign checkpoints, C2SP vkeys, one a line, newest first."""
        return PlainTextResponse(vkeys)

    @router.get("/consistency", summary="Prove that nothing was rewritten", responses=refusals("size_out_of_range"))
    async def get_consistency(
        first: Annotated[int, Query(ge=0, le=_SIZE_MAX, description="size of the older tree")],
        second: Annotated[int, Query(ge=0, le=_SIZE_MAX, description="size of the newer tree")],
    ) -> ConsistencyAnswer:
        """Return the proof that the journal of `first` records is the beginning of that of `second`."""
        size = await transparency.newest_size()
        if not first <= second <= size:
            raise Unprocessable(
                "size_out_of_range",
                "Sizes go up, to that of the newest checkpoint.",
                first=first,
                second=second,
                size=size,
            )
        return ConsistencyAnswer(proof=[encode_base64(part) for part in await transparency.consistency(first, second)])

    return router
