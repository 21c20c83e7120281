"""GET /api/v1/admin/audit-logs: who did what to which resource, from where, and what came of it."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from libs.common.contracts.audit import AuditEntry
from libs.common.http.app import asker_of
from libs.common.http.cursors import CURSOR_CHARACTERS, Cursor, decode_cursor, encode_cursor
from libs.common.http.gate import permitted
from libs.common.http.moments import Moment, require_period
from libs.common.http.openapi import refusals
from services.gateway.api.audit_csv import audit_csv
from services.gateway.api.timed_answers import TimedAnswer
from services.gateway.views.audit_entries import ID_MAX, AuditEntriesView, AuditQuery

_PAGE: Final = 50
_PAGE_MAX: Final = 200
_Word = Annotated[str | None, Field(min_length=1, max_length=80, pattern=r"^[a-z][a-z0-9_.-]*$")]
_Id = Annotated[str | None, Field(min_length=1, max_length=200, pattern=r"^[\x20-\x7e]+$")]


class AuditFilter(BaseModel):
    """Which entries, and which page of them."""

    model_config = ConfigDict(frozen=True)

    user_id: _Id = Field(None, description="this user acted, or it was about him")
    service: Literal["accounts", "kyc", "ledger", "fraud", "gateway"] | None = Field(None, description="written there")
    action: _Word = Field(None, description="this action of the permission matrix, such as `account.read`")
    resource_type: _Word = Field(None, description="about a resource of this type, such as `account`")
    resource_id: _Id = Field(None, description="about this resource")
    outcome: Literal["done", "refused", "failed"] | None = Field(None, description="with this outcome")
    begins_at: Moment | None = Field(None, alias="from", description="at this moment or later")
    ends_before: Moment | None = Field(None, alias="to", description="before this moment")
    form: Literal["json", "csv"] = Field("json", alias="format", description="json, or csv for all of it at once")
    limit: int = Field(_PAGE, ge=1, le=_PAGE_MAX, description="entries in one answer as json")
    cursor: str | None = Field(None, max_length=CURSOR_CHARACTERS, description="`next` or `prev` of another page")


class AuditEntryAnswer(BaseModel):
    """One entry. A request for money has its transfer's id as `entry_id`, and its state in `facts`.

    `actor_id` is empty for nobody; `reason` is the code of a refusal; `facts` is a JSON object as text.
    """

    entry_id: str
    at: str
    service: str
    actor_id: str
    actor_kind: Literal["nobody", "person", "machine", "system"]
    action: str
    resource_type: str
    resource_id: str
    address: str
    user_agent: str
    request_id: str
    outcome: Literal["done", "refused", "failed"]
    reason: str
    facts: str


class AuditPageAnswer(BaseModel):
    """A page of entries, newest first. `next` asks for older ones, `prev` for newer; null: there are none."""

    entries: list[AuditEntryAnswer]
    next: str | None
    prev: str | None


def audit_logs_router(view: AuditEntriesView) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/api/v1/admin", tags=["staff"])

    @router.get(
        "/audit-logs",
        summary="Read the audit log",
        response_model=AuditPageAnswer,
        dependencies=[permitted("audit.read")],
        responses={
            200: {"content": {"text/csv": {"schema": {"type": "string"}}}},
            **refusals("role_required", "conflicting_parameters", "cursor_invalid"),
        },
    )
    async def get_audit_logs(request: Request, query: Annotated[AuditFilter, Query()]) -> Response:
        """Return what was done, by whom and from where. Needs the role auditor, compliance or admin.

        Every service's actions are in it some seconds after they happened; requests for money are listed from what the
        gateway kept of them. `format=csv` streams everything that matches, newest first, up to 100,000 lines. Reading
        the audit log stands in it, too.
        """
        require_period(query.begins_at, query.ends_before)
        asked = AuditQuery(**{name: getattr(query, name) for name in AuditQuery._fields})
        if query.user_id is not None:
            asker_of(request).concerns("customer", query.user_id)
        if query.form == "csv":
            headers = {"content-disposition": 'attachment; filename="audit-log.csv"'}
            media_type = "text/csv; charset=utf-8; header=present"
            return TimedAnswer(audit_csv(view, asked), media_type=media_type, headers=headers)
        question = asked._asdict()
        start = None if query.cursor is None else decode_cursor(query.cursor, question, position_max=ID_MAX)
        page = await view.page(asked, start, limit=query.limit)
        return JSONResponse(
            {
                "entries": [_shown(entry) for entry in page.entries],
                "next": None if page.older_than is None else encode_cursor(Cursor("next", page.older_than), question),
                "prev": None if page.newer_than is None else encode_cursor(Cursor("prev", page.newer_than), question),
            }
        )

    return router


def _shown(entry: AuditEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in AuditEntryAnswer.model_fields}
