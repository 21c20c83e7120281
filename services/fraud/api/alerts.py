"""What was found after posting, for compliance: the list, one alert, and what becomes of it."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from libs.common.db.kept_answers import KeptAnswer
from libs.common.http.app import asker_of
from libs.common.http.auth import Principal
from libs.common.http.cursors import Cursor, decode_cursor, encode_cursor
from libs.common.http.gate import permitted
from libs.common.http.idempotency import REFUSED_COPIES, Keyed, answer_of, kept_response
from libs.common.http.models import IdText
from libs.common.http.moments import require_period
from libs.common.http.openapi import refusals
from services.fraud.api.alert_models import (
    AlertAnswer,
    AlertFilter,
    AlertNoteBody,
    AlertPageAnswer,
    AlertStateBody,
    WholeAlertAnswer,
)
from services.fraud.domain.alerts import Alert, AlertQuery
from services.fraud.use_cases.review_alerts import ReviewAlerts
from services.fraud.views.show_alerts import ShowAlerts

_ID_MAX: Final = 2**128 - 1
_VERSION_MAX: Final = 2**31 - 1

_AlertId = Annotated[IdText, Path()]
_Reader = Annotated[Principal, permitted("alert.read")]
_Reviewer = Annotated[Principal, permitted("alert.decide")]


def alerts_router(show_alerts: ShowAlerts, review_alerts: ReviewAlerts) -> APIRouter:
    """Return the routes of alerts."""
    router = APIRouter(prefix="/api/v1/admin/fraud/alerts", tags=["fraud"])

    @router.get(
        "", summary="List AML alerts", responses=refusals("role_required", "cursor_invalid", "conflicting_parameters")
    )
    async def get_alerts(principal: _Reader, query: Annotated[AlertFilter, Query()]) -> AlertPageAnswer:
        """Return alerts, newest first. Needs the role compliance or auditor; nobody finds those about himself."""
        require_period(query.begins_at, query.ends_before)
        asked = AlertQuery(**{name: getattr(query, name) for name in AlertQuery._fields})
        question = asked._asdict()
        start = None if query.cursor is None else decode_cursor(query.cursor, question, position_max=_ID_MAX)
        before_id = None if start is None else str(UUID(int=start.position))
        found = await show_alerts.page(asked, principal.user_id, before_id=before_id, limit=query.limit + 1)
        shown = [AlertAnswer.of(alert) for alert in found[: query.limit]]
        is_cut = len(found) > query.limit
        more = encode_cursor(Cursor("next", UUID(shown[-1].alert_id).int), question) if is_cut else None
        return AlertPageAnswer(alerts=shown, next=more)

    @router.get(
        "/{alert_id}",
        summary="An AML alert, with what proves it",
        responses=refusals("role_required", "alert_not_found"),
    )
    async def get_alert(
        alert_id: _AlertId,
        principal: _Reader,
        events_before: Annotated[
            int, Query(ge=1, le=_VERSION_MAX, description="events before this version of the alert; 200 in one answer")
        ] = _VERSION_MAX,
    ) -> WholeAlertAnswer:
        """Return the alert, all its transfers and its newest events. Needs the role compliance or auditor."""
        return WholeAlertAnswer.of_whole(
            await show_alerts.one(alert_id, principal.user_id, events_before=events_before)
        )

    @router.post(
        "/{alert_id}/claim", summary="Claim an AML alert", responses=_refused("alert_claimed", "alert_move_illegal")
    )
    async def post_claim(alert_id: _AlertId, _: _Reviewer, request: Request) -> AlertAnswer:
        """Review it oneself from now on: nobody else closes it then. Needs the role compliance.

        Repeating changes nothing.
        """
        return AlertAnswer.of(await review_alerts.claim(alert_id, asker=asker_of(request)))

    @router.post(
        "/{alert_id}/state",
        summary="Close an AML alert, or give it back",
        responses=_refused("alert_claimed", "alert_move_illegal"),
    )
    async def post_state(alert_id: _AlertId, body: AlertStateBody, _: _Reviewer, request: Request) -> AlertAnswer:
        """Close a claimed alert for good, with what it turned out to be, or open it to colleagues again.

        Needs the role compliance. Whoever claimed it closes it; anybody of them gives it back.
        """
        asker = asker_of(request)
        if body.state == "open":
            return AlertAnswer.of(await review_alerts.give_back(alert_id, reason=body.reason, asker=asker))
        closed = await review_alerts.close(alert_id, verdict=body.state, reason=body.reason, asker=asker)
        return AlertAnswer.of(closed)

    @router.post(
        "/{alert_id}/notes",
        response_model=AlertAnswer,
        summary="Add a note to an AML alert",
        responses=_refused(*REFUSED_COPIES),
    )
    async def post_note(
        alert_id: _AlertId, body: AlertNoteBody, principal: _Reviewer, asked: Keyed, request: Request
    ) -> Response:
        """Add to what is known of it, in any state. Needs the role compliance."""
        once = asked.by(principal.user_id, _noted)
        alert = await review_alerts.note(once, alert_id, note=body.note, asker=asker_of(request))
        return kept_response(_noted(alert), replayed=False)

    return router


def _noted(alert: Alert) -> KeptAnswer:
    return answer_of(AlertAnswer.of(alert), 200)


def _refused(*codes: str) -> dict[int | str, dict[str, Any]]:
    return refusals("role_required", "alert_not_found", *codes)
