"""/api/v1/kyc/documents: what a customer sends to prove who he is, and what staff see of it."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Annotated, Any, Final, cast
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse

from libs.common.db.kept_answers import KeptAnswer
from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.cursors import CURSOR_CHARACTERS, Cursor, decode_cursor, encode_cursor
from libs.common.http.gate import permitted
from libs.common.http.idempotency import REFUSED_COPIES, KeyedBeforeBody, Once, answer_of, kept_response
from libs.common.http.openapi import refusals
from libs.common.http.places import Places
from services.kyc.api.document_models import DocumentAnswer, DocumentPage
from services.kyc.api.own_review import require_other
from services.kyc.domain.documents import (
    DOCUMENT_BYTES_MAX,
    DOCUMENT_REFUSALS,
    ENDINGS,
    MEDIA_TYPES,
    Document,
    DocumentKind,
    MediaType,
)
from services.kyc.domain.read_reason import ReadReason
from services.kyc.use_cases.read_document import ReadDocument
from services.kyc.use_cases.remove_document import RemoveDocument
from services.kyc.use_cases.send_document import SendDocument
from services.kyc.views.documents import DocumentsView

DOCUMENTS_AT: Final = "/api/v1/kyc/documents"
BODY_BOUNDS: Final = {DOCUMENTS_AT: DOCUMENT_BYTES_MAX}

_PAGE: Final = 20
_PAGE_MAX: Final = 100
_ID_MAX: Final = 2**128 - 1
_AT_ONCE_MAX: Final = 8
"""Documents that arrive at one process at once: each has a process beside it that waits for it."""
_EACH_MAX: Final = 1
_FILE: Final = {"schema": {"type": "string", "format": "binary"}, "example": "the bytes of the file"}
_SENT: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": dict.fromkeys(sorted(MEDIA_TYPES), _FILE),
    },
}
_CONTENT: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The document, as an attachment.",
        "content": dict.fromkeys(sorted(MEDIA_TYPES), _FILE),
    },
}
_DocumentId = Annotated[str, Path(description="The document's id.")]
_Limit = Annotated[int, Query(ge=1, le=_PAGE_MAX, description="documents in one answer")]
_CursorText = Annotated[str | None, Query(max_length=CURSOR_CHARACTERS, description="`next` of another page")]
_Customer = Annotated[Principal, permitted("document.send")]


def documents_router(
    send: SendDocument, remove: RemoveDocument, view: DocumentsView, hide: Callable[[str], bytes]
) -> APIRouter:
    """Return the customer's routes; `hide` is the keyed hash of what makes two requests copies."""
    router = APIRouter(prefix=DOCUMENTS_AT, tags=["kyc"])
    places = Places(_AT_ONCE_MAX, _EACH_MAX, "Too many documents are being read; try again.")

    @router.post(
        "",
        status_code=201,
        response_model=DocumentAnswer,
        summary="Send a document",
        responses=refusals(
            "role_required",
            "content_type_not_accepted",
            *DOCUMENT_REFUSALS,
            "too_many_documents",
            "customer_erased",
            "overloaded",
            *REFUSED_COPIES,
        ),
        openapi_extra=_SENT,
    )
    async def post_document(
        principal: _Customer,
        asked: KeyedBeforeBody,
        request: Request,
        kind: Annotated[DocumentKind, Query(description="What it proves.")],
    ) -> Response:
        """Store an image or a PDF that proves something about the caller. The body is the file itself.

        JPEG, PNG and WebP of 40 million pixels, PDF of 20 pages, 10 MiB each, and `Content-Type` says which it is. An
        image is encoded anew without its metadata, a PDF written anew. Ten documents at once; one upload at a time.
        """
        media_type = _type_of(request)

        def once_of(digest: bytes) -> Once[Document]:
            said = sha256(f"{kind}\n{media_type}\n{digest.hex()}".encode()).digest()
            return asked.with_body(said).by(principal.user_id, _answer, hide=hide)

        with _place(places, principal.user_id):
            try:
                document = await send(
                    once_of, asker_of(request), kind=kind, media_type=media_type, body=_body_of(request)
                )
            except ClientDisconnect:
                return Response(status_code=400)  # for the log; nobody reads it
        return kept_response(_answer(document), replayed=False)

    @router.get("", summary="List my documents", responses=refusals("cursor_invalid"))
    async def get_documents(
        principal: Annotated[Principal, permitted("document.list")], limit: _Limit = _PAGE, cursor: _CursorText = None
    ) -> DocumentPage:
        """Return what the caller has sent, newest first, with what he has removed. The contents are not shown."""
        return await _page(view, principal.user_id, limit, cursor)

    @router.delete(
        "/{document_id}",
        status_code=204,
        summary="Remove a document",
        dependencies=[permitted("document.remove")],
        responses=refusals("document_not_found", "document_in_use"),
    )
    async def delete_document(document_id: _DocumentId, request: Request) -> None:
        """Destroy a document of the caller's.

        Not while his verification is being reviewed, nor while a tier rests on it. A removed one stays so.
        """
        await remove(asker_of(request), document_id)

    return router


def admin_documents_router(read: ReadDocument, view: DocumentsView) -> APIRouter:
    """Return the routes by which compliance sees what others have sent."""
    router = APIRouter(
        prefix="/api/v1/admin/kyc/{user_id}/documents",
        tags=["staff"],
        responses=refusals("role_required", "own_review"),
    )

    @router.get("", summary="List a customer's documents", responses=refusals("cursor_invalid"))
    async def get_documents_of(
        user_id: str,
        principal: Annotated[Principal, permitted("document.list_of_customer")],
        limit: _Limit = _PAGE,
        cursor: _CursorText = None,
    ) -> DocumentPage:
        """Return what a customer has sent, newest first, with what he has removed. Needs the role compliance."""
        require_other(principal, user_id)
        return await _page(view, user_id, limit, cursor)

    @router.get(
        "/{document_id}/content",
        summary="Look at a document",
        response_class=StreamingResponse,
        responses={**_CONTENT, **refusals("document_not_found")},
    )
    async def get_content(
        user_id: str,
        document_id: _DocumentId,
        principal: Annotated[Principal, permitted("document.read")],
        reason: Annotated[ReadReason, Query(description="Why it is looked at; kept in the audit log.")],
        request: Request,
    ) -> StreamingResponse:
        """Return a document's content, as an attachment. Needs the role compliance; nobody looks at his own.

        Who looked, when and why is in the audit log before the first byte is sent.
        """
        require_other(principal, user_id)
        document, content = await read(asker_of(request), user_id, document_id, reason)
        # The first piece is proven before anything is answered; most documents are not much more.
        return StreamingResponse(
            _behind(await anext(content), content), media_type=document.content_type, headers=_headers_of(document)
        )

    return router


@contextmanager
def _place(places: Places, who: str) -> Iterator[None]:
    places.enter(who)
    try:
        yield
    finally:
        places.leave(who)


def _type_of(request: Request) -> MediaType:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        raise HTTPException(415)
    return cast("MediaType", media_type)


async def _body_of(request: Request) -> AsyncIterator[bytes]:
    async for piece in request.stream():
        if piece:
            yield piece


async def _behind(first: bytes, content: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    yield first
    async for piece in content:
        yield piece


def _headers_of(document: Document) -> dict[str, str]:
    """Return what keeps a browser from doing anything with it but saving it; the edge adds `nosniff`."""
    name = f"{document.document_id}.{ENDINGS[document.content_type]}"
    return {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Length": str(document.bytes),
        "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    }


async def _page(view: DocumentsView, user_id: str, limit: int, cursor: str | None) -> DocumentPage:
    question = {"documents_of": user_id}
    start = None if cursor is None else decode_cursor(cursor, question, position_max=_ID_MAX)
    before = str(UUID(int=_ID_MAX if start is None else start.position))
    found, has_more = await view.of(user_id, before=before, limit=limit)
    more = encode_cursor(Cursor("next", UUID(found[-1].document_id).int), question) if has_more else None
    return DocumentPage(documents=[DocumentAnswer.of(one) for one in found], next=more)


def _answer(document: Document) -> KeptAnswer:
    return answer_of(DocumentAnswer.of(document), 201)
