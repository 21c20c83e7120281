"""A customer's log-ins: which there are, and ending them."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request

from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.cursors import CURSOR_CHARACTERS, Cursor, decode_cursor, encode_cursor
from libs.common.http.gate import permitted
from libs.common.http.openapi import refusals
from services.accounts.api.models import SessionAnswer, SessionList
from services.accounts.use_cases.revoke_session import RevokeSession
from services.accounts.views.sessions import SessionView

_PAGE: Final = 50
_PAGE_MAX: Final = 100
_ID_MAX: Final = 2**128 - 1


def sessions_router(sessions: SessionView, revoke_session: RevokeSession) -> APIRouter:
    """Return the routes about log-ins."""
    router = APIRouter(prefix="/api/v1/auth/sessions", tags=["log in"])

    @router.get("", summary="List my log-ins", responses=refusals("cursor_invalid"))
    async def get_sessions(
        principal: Annotated[Principal, permitted("session.list")],
        limit: Annotated[int, Query(ge=1, le=_PAGE_MAX, description="sessions in one answer")] = _PAGE,
        cursor: Annotated[str | None, Query(max_length=CURSOR_CHARACTERS, description="`next` of another page")] = None,
    ) -> SessionList:
        """Return the caller's log-ins that go on, newest first: since when, from where, and when last used.

        A log-in was last used when its newest refresh token was handed out; `address` and `user_agent` are of that
        moment.
        """
        question = {"sessions_of": principal.user_id}
        start = None if cursor is None else decode_cursor(cursor, question, position_max=_ID_MAX)
        page = await sessions.of(principal.user_id, str(UUID(int=start.position)) if start else None, limit + 1)
        shown = page[:limit]
        more = Cursor("next", UUID(shown[-1].family_id).int) if len(page) > limit else None
        return SessionList(
            sessions=[SessionAnswer.of(session, principal.session_id) for session in shown],
            next=encode_cursor(more, question) if more else None,
        )

    @router.delete(
        "/{session_id}", status_code=204, summary="End one of my log-ins", responses=refusals("session_not_found")
    )
    async def delete_session(
        session_id: Annotated[str, Path(max_length=64)],
        principal: Annotated[Principal, permitted("session.end")],
        request: Request,
    ) -> None:
        """End a log-in: its refresh token at once, its access tokens in every service within two seconds."""
        await revoke_session.one(principal.user_id, session_id, asker_of(request))

    @router.delete("", status_code=204, summary="End all my other log-ins", responses=refusals())
    async def delete_other_sessions(
        principal: Annotated[Principal, permitted("session.end")], request: Request
    ) -> None:
        """End every log-in of the caller but the one that asks. Repeating changes nothing."""
        await revoke_session.others(principal.user_id, principal.session_id, asker_of(request))

    return router
