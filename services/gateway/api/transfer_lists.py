"""GET /api/v1/transfers: the ledger's list with its memos, or the gateway's own when it is asked for by metadata."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import httpx2
import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from libs.common.db.reading import Reading
from libs.common.errors import InvariantBroken, Unprocessable
from libs.common.http.auth import Principal
from libs.common.http.cursors import Cursor, decode_cursor, encode_cursor
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from libs.common.http.transfer_filter import TransferFilterQuery
from services.gateway.api.proxy import ask_for_whole
from services.gateway.domain.requests import MetadataKey, MetadataValue
from services.gateway.views.transfer_lists import (
    ID_MAX,
    Found,
    MetadataQuery,
    TransferPage,
    find_by_metadata,
    with_memos,
)

LISTED_AT: Final = "/api/v1/transfers"
_METADATA: Final = "metadata."
_PAIRS_MAX: Final = 5
_OK: Final = 200
_READ_ALL: Final = frozenset({"support", "auditor", "operator", "compliance"})
_encode = msgspec.json.Encoder().encode
_decode_page = msgspec.json.Decoder(TransferPage).decode
_Pair = tuple[MetadataKey, MetadataValue]
_SCHEMA: Final = {"schema": {"$ref": "#/components/schemas/TransferPage"}}
_METADATA_QUERY: Final[dict[str, Any]] = {
    "name": f"{_METADATA}{{key}}",
    "in": "query",
    "required": False,
    "description": f"sent with this value under this key, of 1 to 40 characters; up to {_PAIRS_MAX} such parameters",
    "schema": msgspec.json.schema(MetadataValue),
}


def transfer_lists_router(reading: Reading, ledger: httpx2.AsyncClient) -> APIRouter:
    """Return the route."""
    router = APIRouter(tags=["transfers"])

    @router.get(
        LISTED_AT,
        summary="List transfers",
        responses={
            200: {"description": "A page of transfers.", "content": {"application/json": _SCHEMA}},
            **refusals("account_not_found", "too_many_accounts", "cursor_invalid", "conflicting_parameters"),
        },
        openapi_extra={"parameters": [_METADATA_QUERY]},
    )
    async def list_transfers(
        request: Request, principal: Annotated[Principal, permitted("transfer.list")], query: TransferFilterQuery
    ) -> Response:
        """Return the transfers of an account, of all your accounts, or for staff of anybody, newest first.

        With up to five parameters `metadata.key=value` only those that were sent with all of them: as payer or payee
        yours, for staff anybody's. `from` and `to` then mean when it was asked for, else when it was decided.

        Without metadata a transfer is listed once it has been decided about. Of one that was refused or blocked only
        the payer's side learns. A page may have fewer transfers than the limit, or none, and `next` all the same: go
        on until it is null. With a filter it looks at 500 at most; without, it passes over captures, reversals of its
        transfers and whatever else the journal has between them.
        """
        metadata = metadata_of(request.query_params.multi_items())
        if not metadata:
            return await _from_ledger(request, reading, ledger)
        query.require_possible()
        asked = MetadataQuery(
            principal.user_id,
            not principal.roles.isdisjoint(_READ_ALL),
            metadata,
            query.account_id,
            query.status,
            query.begins_at,
            query.ends_before,
            query.min_amount_minor,
            query.max_amount_minor,
        )
        question = {**asked._asdict(), "metadata": sorted(metadata.items())}
        start = None if query.cursor is None else decode_cursor(query.cursor, question, position_max=ID_MAX)
        return _page_answer(await find_by_metadata(reading, asked, start, limit=query.limit), question)

    return router


def metadata_of(parameters: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the metadata asked for, bounded as a request's own. Raises: Unprocessable invalid_request."""
    pairs = [(name.removeprefix(_METADATA), value) for name, value in parameters if name.startswith(_METADATA)]
    try:
        checked: list[_Pair] = msgspec.convert(pairs, list[_Pair])
    except msgspec.ValidationError as failure:
        raise Unprocessable(
            "invalid_request",
            "A metadata key has 1 to 40 characters, a value up to 200; neither has control characters.",
        ) from failure
    if len(checked) > _PAIRS_MAX or len(dict(checked)) < len(checked):
        raise Unprocessable("invalid_request", f"Send up to {_PAIRS_MAX} metadata parameters, each key once.")
    return dict(checked)


async def _from_ledger(request: Request, reading: Reading, ledger: httpx2.AsyncClient) -> Response:
    target = f"{LISTED_AT}?{request.scope['query_string'].decode('latin-1')}"
    answer = await ask_for_whole(ledger, request, target)
    if answer.status_code != _OK:
        return Response(answer.content, answer.status_code, headers=dict(answer.headers))
    try:
        page = _decode_page(answer.content)
    except msgspec.MsgspecError as failure:
        raise InvariantBroken("the ledger lists transfers in the form agreed on") from failure
    return _answer(await with_memos(reading, page))


def _page_answer(found: Found, question: Mapping[str, Any]) -> Response:
    older, newer = found.older_than, found.newer_than
    return _answer(
        TransferPage(
            transfers=found.transfers,
            next=None if older is None else encode_cursor(Cursor("next", older), question),
            prev=None if newer is None else encode_cursor(Cursor("prev", newer), question),
        )
    )


def _answer(page: TransferPage) -> Response:
    return Response(_encode(page), media_type="application/json")
