"""/api/v1/batches: files of up to 100,000 transfers, carried out in the background."""

import csv
import io
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Header, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response, StreamingResponse

from libs.common.errors import Conflict, NotFound
from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.cursors import CURSOR_CHARACTERS, Cursor, decode_cursor, encode_cursor
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from libs.common.idempotency_keys import KEY_HEADER, read_key
from libs.common.ids import is_id
from services.gateway.api.csv_cells import defused
from services.gateway.api.money_requests import MoneyRoutes
from services.gateway.api.request_limits import address_of
from services.gateway.api.timed_answers import TimedAnswer
from services.gateway.domain.batch_files import FileKind
from services.gateway.use_cases.cancel_batch import CancelBatch
from services.gateway.use_cases.receive_batch import ReceiveBatch
from services.gateway.views.batches import BatchView, LineResult, Progress
from services.gateway.views.transfer_lists import ID_MAX

BATCHES_AT: Final = "/api/v1/batches"
_PAGE: Final = 20
_PAGE_MAX: Final = 100
_KINDS: Final[dict[str, FileKind]] = {"text/csv": "csv", "application/x-ndjson": "ndjson"}
_CSV_EXAMPLE: Final = (
    "source_account_id,destination_account_id,amount_minor,asset,description\n"
    "0198c8a2-6a57-7b0e-8d6e-111111111111,0198c8a2-6a57-7b0e-8d6e-222222222222,1250,USD,March\n"
)
_NDJSON_EXAMPLE: Final = (
    '{"source_account_id":"0198c8a2-6a57-7b0e-8d6e-111111111111",'
    '"destination_account_id":"0198c8a2-6a57-7b0e-8d6e-222222222222","amount_minor":1250,"asset":"USD"}\n'
)
_BODY: Final[dict[str, Any]] = {
    "parameters": [KEY_HEADER],
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}, "example": _CSV_EXAMPLE},
            "application/x-ndjson": {"schema": {"type": "string"}, "example": _NDJSON_EXAMPLE},
        },
    },
}
_RESULTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The lines.",
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}, "text/csv": {"schema": {"type": "string"}}},
    }
}
_encode = msgspec.json.Encoder().encode
BatchId = Annotated[str, Path(max_length=64, description="the batch's id")]
_Count = Annotated[int, Field(ge=0)]


class BatchProgress(BaseModel):
    """A file of transfers and how far it is carried out. The counts add up to `lines` once `finished_at` is there."""

    batch_id: Annotated[str, Field(description="The batch's id.", examples=["0198c8a2-6a57-7b0e-8d6e-333333333333"])]
    status: Annotated[
        Literal["queued", "running", "done", "cancelled"],
        Field(
            description="`done`: every line has been taken; what is held or accepted may still be decided. "
            "`cancelled`: no line is taken any more."
        ),
    ]
    lines: Annotated[_Count, Field(description="How many transfers the file has.", examples=[2000])]
    accepted: Annotated[_Count, Field(description="Durable, not decided yet.", examples=[0])]
    posted: Annotated[_Count, Field(description="The money has moved.", examples=[1990])]
    held: Annotated[_Count, Field(description="Held: as asked, or for a review.", examples=[4])]
    blocked: Annotated[_Count, Field(description="Blocked by screening, or voided.", examples=[3])]
    refused: Annotated[_Count, Field(description="Refused by the ledger.", examples=[2])]
    failed: Annotated[_Count, Field(description="Never became a transfer; the results say why.", examples=[1])]
    cancelled: Annotated[_Count, Field(description="Not taken when the batch was cancelled.", examples=[0])]
    created_at: Annotated[datetime, Field(description="When it was accepted.")]
    finished_at: Annotated[
        datetime | None, Field(description="When its last line was taken, or it was cancelled; null until then.")
    ]


class BatchPage(BaseModel):
    """A page of your batches, newest first."""

    batches: Annotated[list[BatchProgress], Field(description="The batches.")]
    next: Annotated[str | None, Field(description="Asks for older ones as `cursor`; null: there are none.")]


def batch_files_router(parts: MoneyRoutes, receive: ReceiveBatch, cancel: CancelBatch, view: BatchView) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix=BATCHES_AT, tags=["transfers"])

    @router.post(
        "",
        summary="Send a file of transfers",
        status_code=202,
        response_model=BatchProgress,
        responses=refusals(
            "idempotency_key_missing",
            "idempotency_key_invalid",
            "idempotency_key_reused",
            "content_type_not_accepted",
            "batch_file_unreadable",
            "batch_file_empty",
            "batch_file_too_long",
            "too_many_batches",
            "batch_volume_exceeded",
        ),
        openapi_extra=_BODY,
    )
    async def send(
        request: Request,
        principal: Annotated[Principal, permitted("batch.create")],
        idempotency_key: Annotated[str | None, Header(include_in_schema=False)] = None,
    ) -> Response:
        """Take up to 100,000 transfers (32 MiB) and carry them out in the background, each on its own.

        `text/csv` has a first line that names its columns: source_account_id, destination_account_id, amount_minor and
        asset, and if you like idempotency_key and description. `application/x-ndjson` has a transfer of
        `POST /transfers` on each line, `idempotency_key` added if you like. A line without a key gets one of ours. A
        file with a faulty line is refused whole, and `lines` says which.

        Up to five batches may be under way, and a day's files may have a million transfers and 256 MiB together: beyond
        is 429 `batch_volume_exceeded`.
        """
        key, kind = read_key(idempotency_key), _kind_of(request)
        counted = await parts.count(address_of(request), principal)
        asker = asker_of(request)
        try:
            received = await receive(principal.user_id, key, kind, request.stream(), asker.asked_from())
        except ClientDisconnect:
            return Response(status_code=400)  # for the log; nobody reads it
        asker.concerns("batch", received.batch.batch_id)
        if counted is not None and received.is_replay:
            await parts.limits.give_back(counted)
        elif counted is not None:
            request.scope["answer_headers"] = counted.headers
        # As it was when it was accepted: a copy gets the same answer, whatever has been done since.
        shown = progress_shown(Progress(received.batch, {}), status="queued").model_copy(update={"finished_at": None})
        headers = {"Location": f"{BATCHES_AT}/{received.batch.batch_id}"}
        if received.is_replay:
            headers["Idempotency-Replayed"] = "true"
        return JSONResponse(shown.model_dump(mode="json"), status_code=202, headers=headers)

    _add_cancelling(router, cancel, view)
    _add_reading(router, view)
    return router


def _add_cancelling(router: APIRouter, cancel: CancelBatch, view: BatchView) -> None:
    @router.post(
        "/{batch_id}/cancel",
        summary="Cancel a batch",
        responses=refusals("batch_not_found", "batch_done"),
    )
    async def cancel_batch(
        batch_id: BatchId, principal: Annotated[Principal, permitted("batch.cancel")]
    ) -> BatchProgress:
        """Take no further line of a file of yours. What was taken stays: it is posted, held or refused as ever.

        The other lines are dropped; `cancelled` says how many they were. Once this is answered nothing more is sent. A
        copy is answered alike.
        """
        await _own(view, principal, batch_id)
        await cancel(batch_id, principal.user_id)
        progress = await _own(view, principal, batch_id)
        if progress.batch.status == "done":
            raise Conflict("batch_done", "Every line of this batch has been taken; nothing is left to cancel.")
        return progress_shown(progress)


def _add_reading(router: APIRouter, view: BatchView) -> None:
    """Add the routes that only look."""

    @router.get("", summary="List your batches", responses=refusals("cursor_invalid"))
    async def list_own(
        principal: Annotated[Principal, permitted("batch.read")],
        limit: Annotated[int, Query(ge=1, le=_PAGE_MAX, description="batches in one answer")] = _PAGE,
        cursor: Annotated[str | None, Query(max_length=CURSOR_CHARACTERS, description="`next` of another page")] = None,
    ) -> BatchPage:
        """Return the files you sent, newest first, each with how far it is."""
        question = {"batches_of": principal.user_id}
        start = None if cursor is None else decode_cursor(cursor, question, position_max=ID_MAX)
        before = ID_MAX if start is None else start.position
        page, older = await view.of(principal.user_id, before=before, limit=limit)
        more = None if older is None else encode_cursor(Cursor("next", older), question)
        return BatchPage(batches=[progress_shown(one) for one in page], next=more)

    @router.get(
        "/{batch_id}",
        summary="Show a batch",
        responses=refusals("batch_not_found"),
    )
    async def show(
        batch_id: BatchId,
        principal: Annotated[Principal, permitted("batch.read")],
    ) -> BatchProgress:
        """Return how far a file of yours is carried out; from 30 days after its end on, as it was then."""
        return progress_shown(await _own(view, principal, batch_id))

    @router.get(
        "/{batch_id}/results",
        summary="Download a batch's results",
        response_class=StreamingResponse,
        responses={**_RESULTS, **refusals("batch_not_found", "batch_results_dropped")},
    )
    async def results(
        request: Request,
        batch_id: BatchId,
        principal: Annotated[Principal, permitted("batch.read")],
    ) -> TimedAnswer:
        """Return what became of each line, in their order: line, idempotency_key, transfer_id, status and code.

        As NDJSON, or with `Accept: text/csv` as CSV. A line that has not been taken yet is `waiting`, one that never
        became a transfer `failed`; `code` says why. A transfer's newest state is at `/api/v1/transfers/{id}`.

        Lines that were not taken when the batch was cancelled are not kept. 30 days after a batch ended its lines are
        dropped, and this is 404 `batch_results_dropped`; their counts are still shown at `/api/v1/batches/{id}`.
        """
        batch = (await _own(view, principal, batch_id)).batch
        if batch.final_counts is not None:
            raise NotFound("batch_results_dropped", "This batch ended 30 days ago; only its counts are kept.")
        as_csv = "text/csv" in request.headers.get("accept", "")
        write = _csv_of if as_csv else _ndjson_of
        header = ",".join(LineResult._fields) + "\r\n" if as_csv else ""

        async def written() -> AsyncGenerator[str]:
            yield header
            async for lines in view.results(batch):
                yield write(lines)

        return TimedAnswer(written(), media_type="text/csv" if as_csv else "application/x-ndjson")


async def _own(view: BatchView, principal: Principal, batch_id: str) -> Progress:
    """Return a batch of his. Raises: NotFound, because a stranger may not learn that it exists."""
    found = await view.one(batch_id, principal.user_id) if is_id(batch_id) else None
    if found is None:
        raise NotFound("batch_not_found", "There is no such batch, or it is not yours.")
    return found


def _kind_of(request: Request) -> FileKind:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _KINDS:
        raise HTTPException(415)
    return _KINDS[media_type]


def progress_shown(progress: Progress, status: str = "") -> BatchProgress:
    """Return a batch as it is shown, with its own status or another."""
    batch, counts = progress.batch, progress.counts
    return BatchProgress.model_validate(
        {
            "batch_id": batch.batch_id,
            "status": status or batch.status,
            "lines": batch.lines,
            "accepted": counts.get("accepted", 0) + counts.get("parked", 0),
            "posted": counts.get("posted", 0),
            "held": counts.get("held", 0),
            "blocked": counts.get("blocked", 0) + counts.get("voided", 0),
            "refused": counts.get("refused", 0),
            "failed": counts.get("failed", 0),
            "cancelled": progress.cancelled_lines(),
            "created_at": batch.created_at,
            "finished_at": batch.finished_at,
        }
    )


def _ndjson_of(lines: Sequence[LineResult]) -> str:
    return "".join(f"{_encode(line._asdict()).decode()}\n" for line in lines)


def _csv_of(lines: Sequence[LineResult]) -> str:
    text = io.StringIO()
    # Whoever wrote the file chose its keys, and need not be who opens this.
    csv.writer(text).writerows(line._replace(idempotency_key=defused(line.idempotency_key)) for line in lines)
    return text.getvalue()
