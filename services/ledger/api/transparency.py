"""Checkpoints, keys and consistency proofs: public, so that nobody has to ask us for leave to check us."""

from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import PlainTextResponse

from libs.common.errors import NotFound, Unprocessable
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from libs.common.proof.strict_base64 import encode_base64
from services.ledger.views.transparency import TransparencyView

_SIZE_MAX: Final = 2**53 - 1


class ConsistencyAnswer(BaseModel):
    """The hashes of a consistency proof (RFC 9162, 2.1.4), base64."""

    proof: list[str]


class InclusionAnswer(BaseModel):
    """An inclusion proof (RFC 9162, 2.1.3), leaf to root; hashes are base64."""

    index: int
    size: int
    leaf_hash: str
    proof: list[str]
    checkpoint: str | None = Field(description="The signed checkpoint of that size, if it is the newest.")


def transparency_router(transparency: TransparencyView, vkeys: str) -> APIRouter:
    """Return the public routes; `vkeys` is one verifier key a line, newest first."""
    router = APIRouter(
        prefix="/api/v1/transparency", tags=["transparency"], dependencies=[permitted("transparency.read")]
    )

    @router.get(
        "/checkpoint",
        summary="Get the newest checkpoint",
        response_class=PlainTextResponse,
        responses=refusals("checkpoint_not_found"),
    )
    async def get_checkpoint() -> PlainTextResponse:
        """Return the newest signed tree head, a C2SP signed note."""
        newest = await transparency.newest()
        if newest is None:
            raise NotFound("checkpoint_not_found", "The journal is still empty: nothing has been signed.")
        return PlainTextResponse(newest.note)

    @router.get("/key", summary="Get the verifier keys", response_class=PlainTextResponse)
    async def get_key() -> PlainTextResponse:
        """Return the keys that sign checkpoints and those that did before, C2SP vkeys, one a line, newest first."""
        return PlainTextResponse(vkeys)

    @router.get("/consistency", summary="Prove that nothing was rewritten", responses=refusals("size_out_of_range"))
    async def get_consistency(
        first: Annotated[int, Query(ge=0, le=_SIZE_MAX, description="size of the older tree")],
        second: Annotated[int, Query(ge=0, le=_SIZE_MAX, description="size of the newer tree")],
    ) -> ConsistencyAnswer:
        """Return the proof that the journal of `first` records is the beginning of that of `second`."""
        newest = await transparency.newest()
        size = 0 if newest is None else newest.size
        if not first <= second <= size:
            raise Unprocessable(
                "size_out_of_range",
                "Sizes go up, to that of the newest checkpoint.",
                first=first,
                second=second,
                size=size,
            )
        return ConsistencyAnswer(proof=[encode_base64(part) for part in await transparency.consistency(first, second)])

    @router.get("/inclusion", summary="Prove that a record is in the journal", responses=refusals("size_out_of_range"))
    async def get_inclusion(
        index: Annotated[int, Query(ge=0, le=_SIZE_MAX, description="journal index of the record, from 0")],
        size: Annotated[
            int | None, Query(ge=1, le=_SIZE_MAX, description="size of the tree; else that of the newest checkpoint")
        ] = None,
    ) -> InclusionAnswer:
        """Return the proof that the journal of `size` records holds the one with this leaf hash at `index`."""
        newest = await transparency.newest()
        newest_size = 0 if newest is None else newest.size
        tree_size = newest_size if size is None else size
        if not index < tree_size <= newest_size:
            raise Unprocessable(
                "size_out_of_range",
                "An index is below the size, and the size at most that of the newest checkpoint.",
                index=index,
                size=newest_size,
            )
        leaf, proof = await transparency.inclusion(index, tree_size)
        return InclusionAnswer(
            index=index,
            size=tree_size,
            leaf_hash=encode_base64(leaf),
            proof=[encode_base64(part) for part in proof],
            checkpoint=newest.note if newest is not None and tree_size == newest_size else None,
        )

    return router
