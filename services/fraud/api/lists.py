"""Frozen, denied, allowed and snoozed, for staff."""

from typing import Annotated, Final, Self
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, StringConstraints

from libs.common.clock import Clock, to_rfc3339
from libs.common.db.kept_answers import KeptAnswer
from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.cursors import CURSOR_CHARACTERS, Cursor, decode_cursor, encode_cursor
from libs.common.http.gate import permitted
from libs.common.http.idempotency import REFUSED_COPIES, Keyed, answer_of, kept_response
from libs.common.http.models import IdText, ShortText, StrictModel
from libs.common.http.moments import Moment
from libs.common.http.openapi import refusals
from services.fraud.domain.list_entries import ListEntry, Wanted
from services.fraud.domain.lists import ListName, Subject
from services.fraud.use_cases.change_lists import ChangeLists
from services.fraud.views.list_entries import ListEntriesView

_ID_MAX: Final = 2**128 - 1
_Value = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[\x20-\x7e]+$")]
_RuleId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
_Entry = Annotated[IdText, Path(description="the entry's id")]


class ListEntryBody(StrictModel):
    """Somebody or something to be listed, why, and until when.

    `freeze` and `deny` forbid and end with nobody's leave but yours; `allow` mutes every rule that is overridable,
    `snooze` the one it names. `value` is a user id, an IP address or a device; of a `pair` the sender's, with the
    receiver's in `other`.
    """

    list: ListName
    subject: Subject
    value: _Value
    other: _Value | None = None
    rule_id: _RuleId | None = None
    expires_at: Moment | None = None
    reason: ShortText


class ListEntryRemovalBody(StrictModel):
    """Why an entry is removed."""

    reason: ShortText


class ListEntryAnswer(BaseModel):
    """An entry. Times are RFC 3339 UTC; `removed_*` are null while it stands."""

    entry_id: str
    list: ListName
    subject: Subject
    value: str
    other: str | None
    rule_id: str | None
    reason: str
    added_by: str
    added_at: str
    expires_at: str | None
    removed_by: str | None
    removed_at: str | None
    removed_because: str | None

    @classmethod
    def of(cls, entry: ListEntry) -> Self:
        """Return the answer about this entry."""
        return cls(
            entry_id=entry.entry_id,
            list=entry.list,
            subject=entry.subject,
            value=entry.value,
            other=entry.other or None,
            rule_id=entry.rule_id or None,
            reason=entry.reason,
            added_by=entry.added_by,
            added_at=to_rfc3339(entry.added_at),
            expires_at=None if entry.expires_at is None else to_rfc3339(entry.expires_at),
            removed_by=entry.removed_by,
            removed_at=None if entry.removed_at is None else to_rfc3339(entry.removed_at),
            removed_because=entry.removed_because or None,
        )


class ListEntryPageAnswer(BaseModel):
    """A page of entries, newest first. `next` asks for older ones; null: there are none."""

    entries: list[ListEntryAnswer]
    next: str | None


def lists_router(view: ListEntriesView, change: ChangeLists, clock: Clock) -> APIRouter:
    """Return the routes of lists."""
    router = APIRouter(prefix="/api/v1/admin/fraud/lists", tags=["staff"], responses=refusals("role_required"))

    @router.get(
        "",
        summary="List who is frozen, denied, allowed or snoozed",
        responses=refusals("cursor_invalid"),
    )
    async def get_lists(
        principal: Annotated[Principal, permitted("list_entry.read")],
        name: Annotated[ListName | None, Query(alias="list", description="entries of this list")] = None,
        value: Annotated[_Value | None, Query(description="about this customer, address or device")] = None,
        standing: Annotated[bool, Query(description="only what holds now")] = True,  # noqa: FBT002 -- a query's default
        limit: Annotated[int, Query(ge=1, le=200, description="entries in one answer")] = 50,
        cursor: Annotated[
            str | None, Query(max_length=CURSOR_CHARACTERS, description="`next` of the page before")
        ] = None,
    ) -> ListEntryPageAnswer:
        """Return entries, newest first, without those about yourself."""
        question = {"list": name, "value": value, "standing": standing}
        below = _ID_MAX if cursor is None else decode_cursor(cursor, question, position_max=_ID_MAX).position
        found = await view.page(
            below=below,
            name=name,
            value=value,
            standing=standing,
            now=clock(),
            limit=limit + 1,
            reader_id=principal.user_id,
        )
        page = found[:limit]
        following = encode_cursor(Cursor("next", UUID(page[-1].entry_id).int), question) if found[limit:] else None
        return ListEntryPageAnswer(entries=[ListEntryAnswer.of(one) for one in page], next=following)

    @router.post(
        "",
        status_code=201,
        summary="Freeze, deny, allow or snooze",
        response_model=ListEntryAnswer,
        responses=refusals("list_entry_invalid", "own_list_entry", "lists_full", *REFUSED_COPIES),
    )
    async def post_list_entry(
        body: ListEntryBody,
        principal: Annotated[Principal, permitted("list_entry.change")],
        asked: Keyed,
        request: Request,
    ) -> Response:
        """Keep an entry; every decision from now on knows it, in every process.

        Nobody enters what is about himself, nor allows or snoozes an address or device that he has sent from; and
        nothing that he allows or snoozes mutes a rule where he pays or is paid himself.
        """
        wanted = Wanted(
            name=body.list,
            subject=body.subject,
            value=body.value,
            other=body.other or "",
            rule_id=body.rule_id or "",
            reason=body.reason,
            expires_at=body.expires_at,
        )
        entry = await change.add(asked.by(principal.user_id, _kept), asker=asker_of(request), wanted=wanted)
        return kept_response(_kept(entry), replayed=False)

    @router.post(
        "/{entry_id}/remove",
        summary="Take somebody off a list",
        responses=refusals("list_entry_not_found", "list_entry_removed", "own_list_entry"),
    )
    async def post_removal(
        entry_id: _Entry,
        body: ListEntryRemovalBody,
        _principal: Annotated[Principal, permitted("list_entry.change")],
        request: Request,
    ) -> ListEntryAnswer:
        """Remove an entry; it stays on record, and every decision from now on goes without it."""
        return ListEntryAnswer.of(await change.remove(asker=asker_of(request), entry_id=entry_id, reason=body.reason))

    return router


def _kept(entry: ListEntry) -> KeptAnswer:
    return answer_of(ListEntryAnswer.of(entry), 201)
