"""GET /api/v1/accounts/{id}/statement: a period's entries between two balances, as JSON or CSV."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from libs.common.clock import Clock, to_rfc3339
from libs.common.http.auth import Principal
from libs.common.http.cursors import CURSOR_CHARACTERS, Cursor, decode_cursor, encode_cursor
from libs.common.http.gate import permitted
from libs.common.http.moments import Moment, require_past, require_period
from libs.common.http.openapi import refusals
from services.ledger.api.accounts import EntryAnswer, entry_answer, readable_account
from services.ledger.api.sight import Sight, SightOf
from services.ledger.api.statement_csv import statement_csv
from services.ledger.views.accounts import AccountState, AccountView, EntryState
from services.ledger.views.statements import Period, StatementView

_PAGE: Final = 100
_PAGE_MAX: Final = 1_000
_SEQ_BITS: Final = 53
_SEQS_MAX: Final = (1 << (2 * _SEQ_BITS)) - 1


class StatementAnswer(BaseModel):
    """A page of a statement, oldest entry first, with the running balance in each. Amounts are in minor units.

    The balances at its ends are the whole statement's, the same on each page. `held_minor` and `pending_out_minor` are
    those of now. `next` and `prev` are cursors; null: there are no further entries on that side.
    """

    account_id: str
    account_number: str
    asset: str
    begins_at: str | None
    ends_before: str | None
    opening_balance_minor: int
    closing_balance_minor: int
    held_minor: int
    pending_out_minor: int
    entries: list[EntryAnswer]
    next: str | None
    prev: str | None


def statements_router(accounts: AccountView, sight_of: SightOf, statements: StatementView, clock: Clock) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/api/v1/accounts", tags=["accounts"])

    @router.get(
        "/{account_id}/statement",
        summary="Get a statement",
        response_model=StatementAnswer,
        responses={
            200: {"content": {"text/csv": {"schema": {"type": "string"}}}},
            **refusals("account_not_found", "conflicting_parameters", "moment_in_future", "cursor_invalid"),
        },
    )
    async def get_statement(  # noqa: PLR0913, PLR0917 -- each narrows what is asked for, or says who asks
        account_id: str,
        request: Request,
        principal: Annotated[Principal, permitted("account.read")],
        shown: Annotated[Sight, Depends(sight_of)],
        begins_at: Annotated[
            Moment | None, Query(alias="from", description="first moment; all there is before")
        ] = None,
        ends_before: Annotated[Moment | None, Query(alias="to", description="first moment after it; now")] = None,
        form: Annotated[Literal["json", "csv"], Query(alias="format", description="json or csv")] = "json",
        limit: Annotated[int, Query(ge=1, le=_PAGE_MAX, description="entries in one answer")] = _PAGE,
        cursor: Annotated[
            str | None, Query(max_length=CURSOR_CHARACTERS, description="`next` or `prev` of another page")
        ] = None,
    ) -> Response:
        """Return a page of the statement from `from` up to, and without, `to`.

        Its end is fixed with the first page: what is posted later does not come into the pages that follow. As CSV the
        cursors stand in `Link` (RFC 8288). A page of CSV has the same lines `opening` and `closing` as any other.
        """
        account = await readable_account(accounts, shown, account_id, principal)
        require_period(begins_at, ends_before)
        require_past(ends_before, clock())
        question = {"of": account_id, "from": begins_at, "to": ends_before}
        side, beyond_seq, closing_seq = _place(cursor, question)
        period = await statements.period(account, begins_at, ends_before, closing_seq)
        entries = await statements.page(
            account_id, period, beyond_seq=beyond_seq, backwards=side == "prev", limit=limit
        )
        ends = _cursors(entries, period, question)
        if form == "csv":
            return _csv_answer(request, account, statement_csv(account, period, entries), ends)
        answer = StatementAnswer(
            account_id=account_id,
            account_number=account.account_number,
            asset=account.asset,
            begins_at=None if begins_at is None else to_rfc3339(begins_at),
            ends_before=None if ends_before is None else to_rfc3339(ends_before),
            opening_balance_minor=period.opening_balance_minor,
            closing_balance_minor=period.closing_balance_minor,
            held_minor=account.held_minor,
            pending_out_minor=account.pending_out_minor,
            entries=[entry_answer(entry) for entry in entries],
            **ends,
        )
        return Response(answer.model_dump_json(), media_type="application/json")

    return router


def _place(cursor: str | None, question: Mapping[str, object]) -> tuple[str, int | None, int | None]:
    """Return (side, seq beyond which the page lies, seq at which the statement ends)."""
    if cursor is None:
        return "next", None, None
    side, position = decode_cursor(cursor, question, position_max=_SEQS_MAX)
    return side, position >> _SEQ_BITS, position & ((1 << _SEQ_BITS) - 1)


def _cursors(entries: list[EntryState], period: Period, question: Mapping[str, object]) -> dict[str, str | None]:
    """Return the cursors of the pages around this one; each also says where the statement ends."""

    def cursor(side: Literal["next", "prev"], seq: int) -> str:
        return encode_cursor(Cursor(side, seq << _SEQ_BITS | period.closing_seq), question)

    more = bool(entries) and entries[-1].seq < period.closing_seq
    before = bool(entries) and entries[0].seq > period.opening_seq + 1
    return {
        "next": cursor("next", entries[-1].seq) if more else None,
        "prev": cursor("prev", entries[0].seq) if before else None,
    }


def _csv_answer(request: Request, account: AccountState, text: str, ends: dict[str, str | None]) -> Response:
    links = [
        f'<{request.url.path}?{request.url.include_query_params(cursor=cursor).query}>; rel="{side}"'
        for side, cursor in ends.items()
        if cursor is not None
    ]
    headers = {"content-disposition": f'attachment; filename="statement-{account.account_id}.csv"'}
    if links:
        headers["link"] = ", ".join(links)
    return Response(text, media_type="text/csv; charset=utf-8; header=present", headers=headers)
